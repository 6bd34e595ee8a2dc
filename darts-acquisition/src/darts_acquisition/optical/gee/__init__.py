"""Sentinel-2 scenes of Google Earth Engine."""
