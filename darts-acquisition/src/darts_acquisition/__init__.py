"""Satellite scenes, elevation and trend data as DARTS tiles."""

import darts_utils.tile  # noqa: F401  (registers the accessors .odc and .rio, which whoever loads a tile expects)
from darts_acquisition.auxiliary.arcticdem import download_arcticdem, load_arcticdem, missing_arcticdem
from darts_acquisition.auxiliary.tcvis import load_tcvis
from darts_acquisition.auxiliary.tcvis_download import download_tcvis, missing_tcvis
from darts_acquisition.catalog.boundaries import download_admin_files
from darts_acquisition.catalog.grid import download_sentinel_2_grid
from darts_acquisition.catalog.matching import Matches
from darts_acquisition.optical.cdse.functions import (
    download_cdse_s2_sr_scene,
    get_aoi_from_cdse_s2_sr_scene_ids,
    get_cdse_s2_sr_scene_ids_from_geodataframe,
    get_cdse_s2_sr_scene_ids_from_tile_ids,
    load_cdse_s2_sr_scene,
    match_cdse_s2_sr_scene_ids_from_geodataframe,
    search_cdse_s2_sr,
)
from darts_acquisition.optical.gee.functions import (
    download_gee_s2_sr_scene,
    get_aoi_from_gee_scene_ids,
    get_gee_s2_sr_scene_ids_from_geodataframe,
    get_gee_s2_sr_scene_ids_from_tile_ids,
    get_gee_s2_sr_scenes,
    load_gee_s2_sr_scene,
    search_gee_s2_sr,
)
from darts_acquisition.optical.gee.search import GeeScene
from darts_acquisition.optical.local_files.image_folder import parse_planet_type
from darts_acquisition.optical.local_files.planet import (
    get_planet_geometry,
    load_planet_masks,
    load_planet_scene,
    load_planet_tile,
)
from darts_acquisition.optical.quality import convert_masks
from darts_acquisition.services.copernicus import init_copernicus
from darts_acquisition.services.earthengine import init_earthengine

__all__ = [
    "GeeScene",
    "Matches",
    "convert_masks",
    "download_admin_files",
    "download_arcticdem",
    "download_cdse_s2_sr_scene",
    "download_gee_s2_sr_scene",
    "download_sentinel_2_grid",
    "download_tcvis",
    "get_aoi_from_cdse_s2_sr_scene_ids",
    "get_aoi_from_gee_scene_ids",
    "get_cdse_s2_sr_scene_ids_from_geodataframe",
    "get_cdse_s2_sr_scene_ids_from_tile_ids",
    "get_gee_s2_sr_scene_ids_from_geodataframe",
    "get_gee_s2_sr_scene_ids_from_tile_ids",
    "get_gee_s2_sr_scenes",
    "get_planet_geometry",
    "init_copernicus",
    "init_earthengine",
    "load_arcticdem",
    "load_cdse_s2_sr_scene",
    "load_gee_s2_sr_scene",
    "load_planet_masks",
    "load_planet_scene",
    "load_planet_tile",
    "load_tcvis",
    "match_cdse_s2_sr_scene_ids_from_geodataframe",
    "missing_arcticdem",
    "missing_tcvis",
    "parse_planet_type",
    "search_cdse_s2_sr",
    "search_gee_s2_sr",
]
