"""Shared ground of all DARTS packages: band codecs, the tile contract, paths, grids, devices and safe files."""
