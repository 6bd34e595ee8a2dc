"""Training sets: made, checked and looked at."""
