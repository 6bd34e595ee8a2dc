"""Polygons again from `probabilities.tif`, at another threshold and without networks, block by block."""
