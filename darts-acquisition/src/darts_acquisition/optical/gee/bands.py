"""Names, collections and pixel sizes of Sentinel-2 L2A on Earth Engine."""

HARMONIZED = "COPERNICUS/S2_SR_HARMONIZED"
"""Values of all years without an offset."""
RAW = "COPERNICUS/S2_SR"
"""Values as they were processed: since baseline 04.00 with an offset."""

DEFAULT_BANDS_MAPPING: dict[str, str] = {"B2": "blue", "B3": "green", "B4": "red", "B8": "nir"}
SCL_BAND = "SCL"
GRID_BAND = "B2"
"""Band whose grid is that of a scene."""

RESOLUTION_M = 10
RESOLUTIONS_M = {
    "B1": 60,
    "B2": 10,
    "B3": 10,
    "B4": 10,
    "B5": 20,
    "B6": 20,
    "B7": 20,
    "B8": 10,
    "B8A": 20,
    "B9": 60,
    "B11": 20,
    "B12": 20,
}
"""Pixel size of each band of reflectance."""
SCL_RESOLUTION_M = 20
