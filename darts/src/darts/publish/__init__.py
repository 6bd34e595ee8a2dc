"""`darts publish`: an inventory as a catalogue that others can open, check and cite."""
