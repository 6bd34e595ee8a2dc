"""The tiling grid of Sentinel-2."""

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from shapely import MultiPolygon

from darts_acquisition.catalog.areas import polygons
from darts_acquisition.catalog.vector_kinds import check_holds_shapes
from darts_acquisition.services.archives import check_zip
from darts_acquisition.services.endpoints import endpoint
from darts_acquisition.services.http import fetch_file
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service
from darts_utils.errors import ConfigError, DataError, MissingDataError
from darts_utils.files import atomic_file

SENTINEL2_GRID = Service(
    name="Sentinel-2 grid service",
    advice="Check your connection, or try again later; DARTS_SENTINEL2_GRID_URL names another place.",
    limiter=Limiter(connections=2),
    leads_to=("copernicus.eu",),
    policy=RetryPolicy(attempts=5, total_s=900, try_timeout_s=1800),
)
_FILE = "sentinel2_grid.gpkg"


def download_sentinel_2_grid(grid_dir: Path) -> None:
    """Fetch the tiling grid of Sentinel-2; if it is there, nothing is asked.

    `grid_dir` then holds `sentinel2_grid.gpkg`, polygons in EPSG:4326 with the tile's `Name`, such as 08WNB. The
    longitudes of tiles at the antimeridian jump, as the source has them.

    Raises:
        DataError: If what the service has is no grid.
        ServiceError: If the service does not answer.
        OutputError: If the folder cannot be written.
    """
    path = Path(grid_dir) / _FILE
    if path.is_file():
        return
    url = endpoint("sentinel2_grid_url")
    with tempfile.TemporaryDirectory(prefix="darts-grid-") as temporary:
        archive = Path(temporary) / "grid.zip"
        fetch_file(SENTINEL2_GRID, url, archive, check=check_zip)
        grid = _read_kml(archive, url)
    with atomic_file(path) as file:
        grid.to_file(file, layer=path.stem, driver="GPKG", engine="pyogrio")


def tile_footprints(grid_dir: Path, tile_ids: Sequence[str]) -> gpd.GeoDataFrame:
    """Return the footprints of tiles, in the order of their ids.

    Args:
        grid_dir: Folder that `download_sentinel_2_grid` filled.
        tile_ids: Ids such as 08WNB; a T before them is accepted.

    Returns:
        `Name` and polygon of each tile, in EPSG:4326; see `download_sentinel_2_grid` for the antimeridian.

    Raises:
        ConfigError: If there is no tile of an id.
        MissingDataError: If the folder holds no grid.
        DataError: If the grid cannot be read.
    """
    path = Path(grid_dir) / _FILE
    if not path.is_file():
        raise MissingDataError(f"there is no Sentinel-2 grid at {path}. Download it first, while you are online.")
    try:
        check_holds_shapes(path)
        grid = gpd.read_file(path, engine="pyogrio").set_index("Name")
    except (DataSourceError, DataLayerError, KeyError) as error:
        raise DataError(f"the Sentinel-2 grid {path} cannot be read ({error}). Delete it, and download it.") from error
    names = [tile.removeprefix("T") for tile in tile_ids]
    unknown = [tile for tile, name in zip(tile_ids, names, strict=True) if name not in grid.index]
    if unknown:
        raise ConfigError(f"there is no Sentinel-2 tile {', '.join(unknown)}. Give ids such as 08WNB.")
    return grid.loc[names, ["geometry"]].reset_index()


def _read_kml(archive: Path, url: str) -> gpd.GeoDataFrame:
    """Return name and polygon of each tile; the source has a point for the label in each geometry, too."""
    with zipfile.ZipFile(archive) as parts:
        kml = [part for part in parts.namelist() if part.lower().endswith(".kml")]
        if not kml:
            raise DataError(f"{url} holds no KML file. DARTS_SENTINEL2_GRID_URL names another place.")
        file = parts.extract(kml[0], archive.parent)
    check_holds_shapes(Path(file))
    try:
        layers = [name for name, _ in pyogrio.list_layers(file)]
        frames = [gpd.read_file(file, layer=layer, columns=["Name"], engine="pyogrio") for layer in layers]
    except (DataSourceError, DataLayerError) as error:
        raise DataError(f"the KML file in {url} cannot be read ({error}). Report it.") from error
    names = [name for frame in frames for name in frame.Name]
    shapes = [MultiPolygon(polygons(shapely.force_2d(shape))) for frame in frames for shape in frame.geometry]
    tiles = gpd.GeoDataFrame({"Name": names}, geometry=shapes, crs="EPSG:4326")
    return tiles[~tiles.geometry.is_empty].reset_index(drop=True)
