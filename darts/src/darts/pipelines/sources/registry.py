"""The catalogues that Sentinel-2 scenes may come from: their names, and where their classes are.

Nothing is imported here, so that the command line knows the names at no cost.
"""

SCENE_CATALOGS = {
    "cdse": "darts_acquisition.optical.cdse.catalog:CdseScenes",
    "cdse-mosaic": "darts_acquisition.optical.cdse.mosaics:CdseMosaics",
    "composite": "darts_acquisition.optical.composites:Composites",
    "earthsearch": "darts_acquisition.optical.earthsearch:EarthSearchScenes",
    "gee": "darts_acquisition.optical.gee.catalog:GeeScenes",
}
"""By the name that users give; the first is the default."""

DEFAULT_CATALOG = next(iter(SCENE_CATALOGS))
