"""People look at slumps and say what they are: `darts review`."""
