"""TCVIS fetched from Earth Engine into its datacube, chunk by chunk.

Not through xee, with which smart-geocubes fetches: there the grid is found again from bounds and a scale, and requests
go past our limits and retries. Here the pixels of a chunk are those of its own grid.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import geopandas as gpd
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.auxiliary.cube import Cube
from darts_acquisition.auxiliary.filling import Chunk, fill, missing_chunks
from darts_acquisition.auxiliary.tcvis_years import accessor, tcvis_path
from darts_acquisition.catalog.areas import area_of_interest
from darts_acquisition.services.earthengine import ensure_earthengine
from darts_acquisition.services.earthengine_pixels import fetch_pixels
from darts_utils.objects.antimeridian import wrapped

LAYERS = ("TCB_slope", "TCG_slope", "TCW_slope")

_SPARE_DEGREES = 0.02
"""Margin around an area that is staged: a straight edge of 110 km on the ground bends by half as much in degrees."""

type OnBytes = Callable[[int], None] | None


def download_tcvis(aoi: gpd.GeoDataFrame, data_dir: Path, *, year: int | None = None, on_bytes: OnBytes = None) -> None:
    """Fill the trends of an area into a datacube, which is made if there is none.

    What is there is not fetched again; if nothing is lacking, nothing is asked. A load of tiles within the area then
    needs no network.

    Args:
        aoi: Polygons in any CRS; they may cross the antimeridian.
        data_dir: The cube's icechunk folder, or the folder that it is to be in.
        year: Last year of the trends, 2019, 2020, 2022 or 2024; None for the newest, in the cube for all images.
        on_bytes: Is told the size of each chunk's layers, uncompressed, once they are in the cube.

    Raises:
        ConfigError: If the area is no area, or there are no trends up to the year.
        CredentialsError: If the credentials for Earth Engine are missing or refused.
        MissingDataError: If the account may not read the trends.
        DataError: If the cube is damaged.
        ServiceError: If Earth Engine does not answer; chunks that came before stay.
        OutputError: If the cube cannot be written.
    """
    fill_tcvis(tcvis_path(data_dir, year), missing_tcvis(aoi, data_dir, year=year), on_bytes, year=year)


def missing_tcvis(aoi: gpd.GeoDataFrame, data_dir: Path, *, year: int | None = None) -> list[Chunk]:
    """Return what `download_tcvis` would fetch, without asking the network.

    Raises:
        ConfigError: If the area is no area, or there are no trends up to the year.
        DataError: If the cube is damaged.
    """
    spare = shapely.buffer(area_of_interest(aoi), _SPARE_DEGREES, join_style="mitre")
    return missing_in(tcvis_path(data_dir, year), spare, year)


def missing_in(path: Path, area: shapely.Geometry, year: int | None = None) -> list[Chunk]:
    """Return the chunks that an area in degrees needs and the cube lacks; what lies beyond 180 degrees is wrapped."""
    within = shapely.union_all([wrapped(part) for part in getattr(area, "geoms", [area])])
    return missing_chunks(path, accessor(year), within, filled_area, _chunk_id)


def _chunk_id(row: int, column: int) -> str:
    """Return the patch id of a chunk as smart-geocubes has it."""
    return f"{row}-{column}"


def filled_area(cube: Cube) -> shapely.Geometry:
    """Return the union of all areas that were filled into the cube, in degrees."""
    recorded = cube.recorded_bounds
    boxes = [shapely.box(*bounds) for bounds in recorded.values()]
    chunk = int(cube.array("TCB_slope", "u").chunks[0])
    for patch in cube.patches:
        row, _, column = patch.partition("-")
        if patch not in recorded and row.isdigit() and column.isdigit():
            rows = slice(int(row) * chunk, min((int(row) + 1) * chunk, cube.geobox.shape[0]))
            columns = slice(int(column) * chunk, min((int(column) + 1) * chunk, cube.geobox.shape[1]))
            boxes.append(cube.geobox[rows, columns].extent.geom)
    # bounds of neighbouring chunks differ in the last bits; a hair of overlap closes the cracks between them
    return shapely.union_all(shapely.buffer(boxes, 1e-9, join_style="mitre"))


def fill_tcvis(path: Path, chunks: Sequence[Chunk], on_bytes: OnBytes = None, *, year: int | None = None) -> None:
    """Fetch chunks into the cube; do nothing, and ask nobody, if there are none."""
    if not chunks:
        return
    ensure_earthengine()
    cube = accessor(year)
    fill(path, cube, chunks, partial(_fetch, cube.collection), on_bytes)


def _fetch(collection: str, geobox: GeoBox) -> xr.Dataset:
    """Return the trends of a collection on a grid, (y, x) uint8, 0 where there are none."""
    import ee

    mosaic = ee.ImageCollection(collection).mosaic()
    layers = fetch_pixels(mosaic, LAYERS, geobox, dtype="uint8")
    return xr.Dataset({name: wrap_xr(values, geobox, nodata=None, always_yx=True) for name, values in layers.items()})
