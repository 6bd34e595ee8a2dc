"""Looking at patch sets: are they whole and sound, and what is in them."""
