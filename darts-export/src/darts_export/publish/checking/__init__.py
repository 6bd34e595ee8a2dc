"""Whether a catalogue is what it says: whole, valid, and true to its files, whoever made it; no network is asked."""
