"""Vector files of users: every layer with shapes is read, whatever wrote it."""

import io
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely

from darts_acquisition.catalog.vector_kinds import check_holds_shapes
from darts_utils.errors import DataError, MissingDataError, one_line
from darts_utils.text import read_text

_NO_SHAPES = frozenset({"layer_styles", "qgis_projects"})
"""Tables that QGIS keeps in a GeoPackage."""
_WKT_COLUMNS = ("wkt", "wkt_geom", "geometry", "geom", "the_geom")


def read_vector_layers(path: Path) -> list[tuple[str, gpd.GeoDataFrame]]:
    """Return the layers of a file by name, those that hold shapes; tables of styles and attributes are none.

    That is whatever GDAL reads (GeoPackage, shapefile, GeoJSON, KML with its folders, ...), GeoParquet, and CSV with
    outlines as WKT, which are then longitudes and latitudes.

    Raises:
        MissingDataError: If there is no such file.
        DataError: If it cannot be read, or holds no layer with shapes.
    """
    path = Path(path)
    if not path.exists():
        raise MissingDataError(f"{path} does not exist")
    kind = path.suffix.lower()
    try:
        if kind in (".parquet", ".geoparquet"):
            return [(path.stem, gpd.read_parquet(path))]
        layers = [(path.stem, _read_csv(path))] if kind == ".csv" else _read_layers(path)
    except DataError:
        raise
    except Exception as error:  # GDAL, pyarrow, shapely: each has errors of its own about what it cannot read
        raise DataError(f"{path} cannot be read ({one_line(error)})") from error
    if not layers:
        raise DataError(f"{path} holds tables without shapes")
    return layers


def _read_layers(path: Path) -> list[tuple[str, gpd.GeoDataFrame]]:
    check_holds_shapes(path)
    names = pyogrio.list_layers(path)[:, 0]
    # by number, because folders of a KML file may have the same name
    read = [(str(name), gpd.read_file(path, layer=number)) for number, name in enumerate(names)]
    return [(name, layer) for name, layer in read if isinstance(layer, gpd.GeoDataFrame) and name not in _NO_SHAPES]


def _read_csv(path: Path) -> gpd.GeoDataFrame:
    text = read_text(path)
    heading = text.partition("\n")[0]
    separator = max(",;\t|", key=heading.count)
    if separator not in heading:
        separator = "\x1f"  # one column: the commas are those of the coordinates
    table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str)
    column = next((name for name in table if str(name).strip().lower() in _WKT_COLUMNS), None)
    if column is None:
        raise DataError(f"{path} has no column WKT with outlines, only {', '.join(map(str, table))}")
    shapes = shapely.from_wkt([None if pd.isna(outline) else outline for outline in table[column]])
    return gpd.GeoDataFrame(table.drop(columns=column), geometry=shapes, crs="EPSG:4326")
