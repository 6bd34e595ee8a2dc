"""Objects of rasters and maps: their scores, and which belong together."""
