"""Where the objects of a catalogue lie, and which extensions of STAC they follow."""

ROOT = "catalog.json"
MAP_FOLDER = "stac/map"
MODELS_FOLDER = "stac/models"
MAP = f"{MAP_FOLDER}/collection.json"
MODELS = f"{MODELS_FOLDER}/collection.json"

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
FILE_INFO = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
RASTER_1 = "https://stac-extensions.github.io/raster/v1.1.0/schema.json"
"""The last one that MLM knows."""
MLM = "https://stac-extensions.github.io/mlm/v1.5.2/schema.json"

GEOJSON = "application/geo+json"
JSON = "application/json"
GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"
GEOPARQUET = "application/vnd.apache.parquet"
GEOPACKAGE = "application/geopackage+sqlite3"
PMTILES = "application/vnd.pmtiles"

OURS = "darts:version"
"""What the root of a catalogue has that this program wrote."""
GROUND = "darts:box"
"""Of the collection of maps: the box of the ground that was looked at."""
N_FILES = "darts:files"
"""Of a folder that is an asset: how many files it has."""
LEVEL = "L4"
"""Level of processing of what a model made of images."""


def map_item_path(item_id: str) -> str:
    """Return where the item of a mosaic tile lies."""
    return f"{MAP_FOLDER}/{item_id}.json"


def model_item_path(name: str) -> str:
    """Return where the item of a model lies."""
    return f"{MODELS_FOLDER}/{name}.json"
