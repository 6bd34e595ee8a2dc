"""A sample world over years: slumps that appear, grow, merge, split and end, and the images of each summer."""
