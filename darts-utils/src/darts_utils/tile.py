"""The tile contract in code: one `xarray.Dataset`, dims (y, x), north up, in a metric CRS.

Tiles work with `.odc` and `.rio`: both find the georeference in `spatial_ref`, and no data in `nodata` of a band.
"""

import odc.geo.xr  # noqa: F401  (registers the .odc accessor)
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_utils.bands import BandManager, manager
from darts_utils.errors import GridError
from darts_utils.grid import pixel_size_m


def geobox_of(tile: xr.Dataset | xr.DataArray) -> GeoBox:
    """Return the georeference of a tile.

    Raises:
        GridError: If the tile has none.
    """
    geobox = tile.odc.geobox
    if not isinstance(geobox, GeoBox) or geobox.crs is None:
        raise GridError("the tile has no georeference (spatial_ref and regular x, y coordinates). Write one with odc.")
    return geobox


def validate(tile: xr.Dataset, bands: BandManager = manager) -> xr.Dataset:
    """Return the tile unchanged if it keeps the contract.

    Args:
        tile: The tile to check: dims, georeference, and the dtype of each known band.
        bands: The codecs that say which dtype a band has in memory.

    Raises:
        GridError: If the georeference is missing, not metric or not north up.
        DataError: If a band has other dims or another dtype than the contract says.
    """
    pixel_size_m(geobox_of(tile))
    return bands.validate(tile)
