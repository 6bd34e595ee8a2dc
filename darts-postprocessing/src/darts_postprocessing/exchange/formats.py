"""Layers of an inventory as files for other programs: GeoPackage, GeoJSON, Shapefile, CSV."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from darts_postprocessing.exchange.arts_schema import texts_of
from darts_postprocessing.exchange.places import DEGREES, centroids, is_areal, outlines_in
from darts_postprocessing.exchange.qgis_style import add_styles, rows_in
from darts_postprocessing.exchange.shapefile_names import short_names
from darts_utils.errors import ConfigError, DartsError, DataError, OutputError, did_you_mean
from darts_utils.files import atomic_file, atomic_folder
from darts_utils.machine.disk import cannot_write
from darts_utils.names import check_name

LONGEST_TEXT_BYTES = 254
"""What a field of text in a Shapefile takes."""
_DECIMALS = 7
"""Of degrees in GeoJSON and CSV: a centimetre, as RFC 7946 advises."""
_GEOPACKAGE_VERSION = "1.2"
"""Programs of some years ago complain about newer ones."""
_DAYS = ("last_acquired", "acquired", "BaseMapDate", "ContributionDate")
"""Columns with days of images, of which the newest is when a GeoPackage changed last: equal layers give equal bytes."""
_NO_DAY = pd.Timestamp("2000-01-01")
_SHAPEFILE_PARTS = frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"})

type Layers = Mapping[str, gpd.GeoDataFrame]


def write_layers(
    file_or_folder: Path, layers: Layers, file_format: str, origin: Mapping[str, str] | None = None
) -> list[Path]:
    """Write layers for other programs, and return the files; they appear whole, or what was there before stays.

    - `geopackage`: one file `.gpkg` with all layers, each in its CRS, and a style for QGIS that fills slumps by `tier`;
      equal layers give equal bytes.
      A further column of geometries, such as `geometry_majority`, is a layer of its own, `<layer>_majority`.
    - `geojson`: RFC 7946, in EPSG:4326 with 7 decimals, cut along the antimeridian. One file `.geojson` of one layer,
      or a folder with `<layer>.geojson`.
    - `shapefile`: a folder with `<layer>.shp` and its companions, text in UTF-8, each in its CRS. Columns are named by
      `SHAPEFILE_NAMES`; bool is 0 and 1; days are text. Text of more than `LONGEST_TEXT_BYTES` is refused, not cut.
    - `csv`: `centroid_lon centroid_lat` in degrees, found on the ground, and all columns without geometry. One file
      `.csv` of one layer, or a folder with `<layer>.csv`. Columns of these two names are kept as they are.

    All but the first drop further columns of geometries. Lists become text with commas between their values.

    Args:
        file_or_folder: Where to. A folder that is there is replaced, if it has nothing but what such a call writes.
        layers: By their names, which become names of layers and files; polygons, each with a CRS.
        file_format: One of these.
        origin: What they were made of and by, by name: metadata of a GeoPackage, else `<target>.origin.json` beside it.

    Raises:
        ConfigError: If the format is not known, the name of the file is not one of it, or there are no layers.
        DataError: If a layer has no CRS or no geometry, or what the format cannot hold.
        OutputError: If writing fails, or the folder has other files in it.
    """
    if file_format not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigError(
            f"the format {file_format!r} is none of {known}.{did_you_mean(file_format, FORMATS)} Use one."
        )
    _check_layers(layers)
    try:
        if file_format == "geopackage":
            return _write_geopackage(Path(file_or_folder), layers, origin)
        written = _OTHERS[file_format](Path(file_or_folder), layers)
        return [*written, *_beside(Path(file_or_folder), origin)]
    except DartsError:
        raise
    except (OSError, RuntimeError, sqlite3.Error) as error:  # GDAL says it in the second way
        raise cannot_write(Path(file_or_folder), error) from error


def _check_layers(layers: Layers) -> None:
    if not layers:
        raise ConfigError("there is no layer to write. Give at least one.")
    for name, layer in layers.items():
        check_name(name, "a layer")
        if layer.active_geometry_name is None or layer.crs is None:
            what = "geometry" if layer.active_geometry_name is None else "CRS"
            raise DataError(f"the layer {name} has no {what}, so nobody could tell where it is. Set it.")
    if len({name.lower() for name in layers}) < len(layers):
        raise ConfigError(f"layers differ only in capital letters: {', '.join(layers)}. Rename one of them.")


def _beside(target: Path, origin: Mapping[str, str] | None) -> list[Path]:
    """Write what layers were made of beside files that have no place for it; return that file, if there is one."""
    if not origin:
        return []
    file = target.with_name(f"{target.name}.origin.json")
    with atomic_file(file) as part:
        part.write_text(json.dumps(dict(origin), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [file]


def _write_geopackage(file: Path, layers: Layers, origin: Mapping[str, str] | None) -> list[Path]:
    if file.suffix.lower() != ".gpkg":
        raise ConfigError(f"{file.name!r} is no name of a GeoPackage. Give one that ends in .gpkg.")
    split = _one_geometry_each(layers)
    day = _newest_day(split)
    with _date_of_gdal(day), atomic_file(file) as part:
        for number, (name, layer) in enumerate(split.items()):
            first = {"VERSION": _GEOPACKAGE_VERSION, "dataset_metadata": dict(origin or {}) or None}
            how = {"mode": "a"} if number else first
            _to_file(layer, part, driver="GPKG", layer=name, **how)
        add_styles(part, f"{day:%Y-%m-%dT%H:%M:%S}.000Z")
        # GDAL does not reliably report a full disk
        if rows_in(part) != {name: len(layer) for name, layer in split.items()}:
            raise OSError("not all rows are in the file")
    return [file]


def _newest_day(layers: Layers) -> pd.Timestamp:
    """Return the newest day that layers tell of their images, or else a fixed one."""
    texts = [text for layer in layers.values() for name in _DAYS if name in layer for text in texts_of(layer[name])]
    days = pd.to_datetime(pd.Series(texts, dtype="string"), format="%Y-%m-%d", errors="coerce").dropna()
    return _NO_DAY if days.empty else days.max()


@contextmanager
def _date_of_gdal(day: pd.Timestamp) -> Iterator[None]:
    """Let GDAL write this day for today."""
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{day:%Y-%m-%dT%H:%M:%S}.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _one_geometry_each(layers: Layers) -> dict[str, gpd.GeoDataFrame]:
    """Return layers of one column of geometries, those of further columns beside that of the active one."""
    split: dict[str, gpd.GeoDataFrame] = {}
    for name, layer in layers.items():
        split[name] = _plain(layer)
        for column in _further_geometries(layer):
            beside = f"{name}_{column.removeprefix('geometry_')}"
            if beside in layers or beside in split:
                raise ConfigError(f"two layers would be called {beside}: {column} of {name} is one. Rename the other.")
            split[beside] = _plain(layer.set_geometry(column))
    return split


def _further_geometries(layer: gpd.GeoDataFrame) -> list[str]:
    kinds = layer.columns[[isinstance(kind, gpd.array.GeometryDtype) for kind in layer.dtypes]]
    return [str(name) for name in kinds if name != layer.active_geometry_name]


def _plain(layer: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a layer with its active geometry alone, as `geometry`, and values that files hold."""
    columns = {
        str(name): _flat(layer[name])
        for name in layer.columns
        if not isinstance(layer[name].dtype, gpd.array.GeometryDtype)
    }
    frame = pd.DataFrame(columns, index=layer.index).reset_index(drop=True)
    return gpd.GeoDataFrame(frame, geometry=layer.geometry.to_numpy(), crs=layer.crs)


def _flat(values: pd.Series) -> pd.Series:
    """Return a column with lists as text, and categories as what they are of."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.astype(values.cat.categories.dtype)
    if values.dtype != object:
        return values
    return values.map(
        lambda value: ",".join(map(str, value)) if isinstance(value, list | tuple | np.ndarray) else value
    )


def _to_file(frame: gpd.GeoDataFrame, file: Path, **options: Any) -> None:
    """Write a layer with GDAL; one without rows gets the schema of one with rows."""
    shapes = frame.geometry.to_numpy()
    if (is_areal(shapes) | shapely.is_missing(shapes) | shapely.is_empty(shapes)).all():
        options |= {"geometry_type": "MultiPolygon", "promote_to_multi": True}
    frame.to_file(file, engine="pyogrio", index=False, **options)


def _write_geojson(target: Path, layers: Layers) -> list[Path]:
    return _write_each(target, layers, ".geojson", _geojson)


def _geojson(layer: gpd.GeoDataFrame, file: Path) -> None:
    frame = _with_days(_plain(layer))
    shapes = outlines_in(DEGREES, frame.geometry.to_numpy(), frame.crs)
    rounded = shapely.set_precision(shapes, 10.0**-_DECIMALS)  # GDAL before 3.9 lets edges cross
    moved = frame.set_geometry(gpd.GeoSeries(rounded, index=frame.index, crs=DEGREES))
    moved.to_file(file, driver="GeoJSON", engine="pyogrio", index=False, RFC7946="YES", COORDINATE_PRECISION=_DECIMALS)


def _write_csv(target: Path, layers: Layers) -> list[Path]:
    return _write_each(target, layers, ".csv", _csv)


def _csv(layer: gpd.GeoDataFrame, file: Path) -> None:
    frame = _with_days(_plain(layer))
    longitudes, latitudes = np.round(centroids(frame.geometry.to_numpy(), frame.crs), _DECIMALS).T
    plain = pd.DataFrame(frame.drop(columns="geometry"))
    found = pd.DataFrame({"centroid_lon": longitudes, "centroid_lat": latitudes}, index=plain.index)
    joined = found.assign(**{str(name): plain[name] for name in plain})  # level 1 has both already
    joined.to_csv(file, index=False, encoding="utf-8", lineterminator="\n")


def _write_each(
    target: Path, layers: Layers, suffix: str, write: Callable[[gpd.GeoDataFrame, Path], None]
) -> list[Path]:
    """Write one layer to a file of that suffix, or all of them to a folder."""
    if target.suffix.lower() != suffix:
        names = [f"{name}{suffix}" for name in layers]
        _check_folder(target, {suffix})
        with atomic_folder(target) as folder:
            for name, layer in zip(names, layers.values(), strict=True):
                write(layer, folder / name)
        return [target / name for name in names]
    if len(layers) > 1:
        raise ConfigError(f"{len(layers)} layers do not go into one file {target.name}. Give the name of a folder.")
    (layer,) = layers.values()
    with atomic_file(target) as part:
        write(layer, part)
    return [target]


def _check_folder(folder: Path, suffixes: set[str] | frozenset[str]) -> None:
    """Refuse to replace a folder that holds what is not of its format.

    Raises:
        OutputError: If it does; the message names one such entry.
    """
    others = sorted(path.name for path in folder.iterdir() if path.suffix not in suffixes) if folder.is_dir() else []
    if others:
        raise OutputError(
            f"{folder} holds other things, such as {others[0]}, and is not replaced. Choose a new folder."
        )


def _write_shapefile(folder: Path, layers: Layers) -> list[Path]:
    if folder.suffix.lower() == ".shp":
        raise ConfigError(f"a Shapefile is several files, but {folder.name!r} names one. Give the name of a folder.")
    ready = {name: _for_dbase(name, layer) for name, layer in layers.items()}
    _check_folder(folder, _SHAPEFILE_PARTS)
    with atomic_folder(folder) as part:
        for name, layer in ready.items():
            _to_file(layer, part / f"{name}.shp", driver="ESRI Shapefile", encoding="UTF-8")
    return [folder / f"{name}.shp" for name in ready]


def _for_dbase(name: str, layer: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a layer as a Shapefile takes it.

    Raises:
        DataError: If a name of a column or a text is too long.
    """
    frame = _with_days(_plain(layer))
    columns = [str(column) for column in frame.columns.drop("geometry")]
    for column in columns:
        if pd.api.types.is_bool_dtype(frame[column].dtype):
            frame[column] = frame[column].astype("Int8")
        elif not pd.api.types.is_numeric_dtype(frame[column].dtype):
            _check_texts(name, frame[column])
    return frame.rename(columns=short_names(columns))


def _check_texts(layer: str, values: pd.Series) -> None:
    lengths = [len(value.encode()) for value in texts_of(values)]
    if (longest := max(lengths, default=0)) > LONGEST_TEXT_BYTES:
        raise DataError(
            f"{values.name} of row {lengths.index(longest)} of {layer} has {longest} bytes, and a Shapefile takes "
            f"{LONGEST_TEXT_BYTES}. Shorten it, leave the column out, or write a GeoPackage."
        )


def _with_days(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a table with moments as text: the day alone where all are at midnight."""
    for name in frame.columns.drop("geometry"):
        if pd.api.types.is_datetime64_any_dtype(frame[name].dtype):
            known = frame[name].dropna()
            form = "%Y-%m-%d" if (known == known.dt.normalize()).all() else "%Y-%m-%dT%H:%M:%S"
            frame[name] = frame[name].dt.strftime(form).astype(object).where(frame[name].notna(), None)
    return frame


_OTHERS: Mapping[str, Callable[[Path, Layers], list[Path]]] = {
    "geojson": _write_geojson,
    "shapefile": _write_shapefile,
    "csv": _write_csv,
}
FORMATS = ("geopackage", *_OTHERS)
