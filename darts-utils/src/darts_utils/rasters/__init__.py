"""Rasters in memory: run lengths, row blocks, bands that are made where they are read."""
