"""Sentinel-2 scenes of the Copernicus Data Space."""
