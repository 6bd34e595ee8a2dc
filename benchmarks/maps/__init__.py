"""The map of a publication with many slumps: what it takes to write, to open and to move."""
