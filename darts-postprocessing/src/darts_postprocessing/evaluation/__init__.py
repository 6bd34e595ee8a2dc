"""How good an inventory is: against reference outlines, and how well those who draw them agree."""
