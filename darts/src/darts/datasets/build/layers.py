"""Label and footprint layers as people drew them: read, mended, and every row accounted for."""

import fnmatch
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from darts_utils.errors import DataError, MissingDataError
from darts_utils.names import date_in
from darts_utils.paths import visible_folders

logger = logging.getLogger(__name__)

CRS = "EPSG:4326"
_PATTERNS = {"labels": "TrainingLabel*.gpkg", "footprints": "ImageFootprints*.gpkg"}
_COLUMNS = ["image_id", "image_date", "datasource", "label"]
"""What is read of a layer, besides the geometry; all but `image_id` may be missing."""


@dataclass(frozen=True)
class Layer:
    """The rows of all files of a kind; none is ever taken away, but `dropped` says why it is not used.

    Columns: `file`, `image_id`, `date` (datetime64, NaT where unknown), `datasource`, `label`, `geometry` (EPSG:4326,
    None where there is none), `repaired` and `dropped` (text, empty where nothing was done).
    """

    kind: str
    """`labels` or `footprints`."""
    rows: gpd.GeoDataFrame
    n_files: int

    @property
    def used(self) -> gpd.GeoDataFrame:
        """The rows that are used."""
        return self.rows[self.rows["dropped"] == ""]

    def drop(self, where: Any, reason: str) -> "Layer":
        """Return the layer with rows dropped for a reason; rows that were dropped before keep theirs.

        Args:
            where: (row,) bool.
            reason: Why, in a few words.
        """
        kept = self.rows["dropped"].where(~where | (self.rows["dropped"] != ""), reason)
        return Layer(self.kind, self.rows.assign(dropped=kept), self.n_files)

    def tally(self) -> list[tuple[str, int]]:
        """Return what became of the rows: each is used or dropped for one reason, repaired ones are counted as well."""
        rows = self.rows
        lines = [(f"{self.kind} read from {self.n_files} files", len(rows)), (f"{self.kind} used", len(self.used))]
        lines += [(f"{self.kind} dropped: {why}", n) for why, n in _counted(rows.loc[rows["dropped"] != "", "dropped"])]
        return lines + [(f"{self.kind} {how}", n) for how, n in _counted(self.used["repaired"]) if how]


def read_layers(labels_dir: Path) -> tuple[Layer, Layer]:
    """Return the labels and the footprints below a folder, `*/TrainingLabel*.gpkg` and `*/ImageFootprints*.gpkg`.

    All layers of a file count. Rows without an id or an area, off the map, of a layer without a usable CRS, and those
    that stand there twice, are dropped; invalid outlines are repaired.

    Raises:
        MissingDataError: If there are no files of one kind.
        DataError: If a file cannot be read, or a layer has no `image_id`.
    """
    labels, footprints = (_read_kind(Path(labels_dir), kind) for kind in _PATTERNS)
    values = pd.to_numeric(labels.rows["label"], errors="coerce")  # what is not said, or not as a number, is a slump
    return labels.drop(values.notna() & (values != 1), "label is not 1"), footprints


def _read_kind(labels_dir: Path, kind: str) -> Layer:
    files = _files(labels_dir, re.compile(fnmatch.translate(_PATTERNS[kind]), re.IGNORECASE))
    if not files:
        raise MissingDataError(
            f"there are no {kind} in {labels_dir}: no file is called */{_PATTERNS[kind]}. Put them there, a folder an "
            "iteration, or name another folder with --labels-dir."
        )
    rows = pd.concat([_read(file, file.relative_to(labels_dir)) for file in files], ignore_index=True)
    return _without_useless(_mended(Layer(kind, gpd.GeoDataFrame(rows, geometry="geometry", crs=CRS), len(files))))


def _files(labels_dir: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the files of a name, in whatever case, in the folders below a folder; hidden ones are none.

    Raises:
        DataError: If a folder cannot be read, such as a link to a disk that is not there.
    """
    try:
        files = [file for folder in visible_folders(labels_dir) for file in folder.iterdir()]
    except OSError as error:
        raise DataError(
            f"the folder {error.filename} cannot be read ({error.strerror}). Check where it leads."
        ) from error
    return sorted(file for file in files if pattern.match(file.name) and not file.is_dir())


def _read(file: Path, name: Path) -> gpd.GeoDataFrame:
    """Return the rows of all layers of a file with just the columns that are used, in EPSG:4326."""
    from darts_acquisition.catalog.vectors import read_vector_layers

    try:
        layers = read_vector_layers(file)
    except (DataError, MissingDataError) as error:
        raise DataError(f"{error}. Write it again.") from error
    rows = [_rows(layer, name, f"layer {stem} of {file}" if len(layers) > 1 else str(file)) for stem, layer in layers]
    return pd.concat(rows, ignore_index=True)


def _rows(raw: gpd.GeoDataFrame, name: Path, where: str) -> gpd.GeoDataFrame:
    """Return the rows of a layer; where it lies nowhere on Earth, they are dropped, and a warning says why."""
    if "image_id" not in raw:
        raise DataError(f"{where} has no column image_id, only {', '.join(raw.columns)}. Rename the one with the ids.")
    columns = {key: _texts(raw[key]) if key in raw else pd.Series("", index=raw.index) for key in _COLUMNS}
    dates = [_date(*both) for both in zip(columns["image_id"], columns["image_date"], strict=True)]
    dropped = pd.Series("", index=raw.index)
    try:
        geometry = _in_degrees(raw, where)
        dropped = dropped.mask(_is_drawn(raw.geometry) & geometry.isna(), "off the map")
    except DataError as error:
        logger.warning("%s Its %d rows are not used.", error, len(raw))
        geometry = gpd.GeoSeries([None] * len(raw), index=raw.index, crs=CRS)
        dropped[:] = "the CRS of its layer cannot be used"
    return gpd.GeoDataFrame(
        {
            "file": str(name),
            **columns,
            "date": pd.Series(dates, index=raw.index, dtype="datetime64[ns]"),
            "dropped": dropped,
        },
        geometry=geometry,
        crs=CRS,
    ).drop(columns="image_date")


def _is_drawn(shapes: gpd.GeoSeries) -> pd.Series:
    return ~(shapes.isna() | shapes.is_empty)


def _texts(values: pd.Series) -> pd.Series:
    """Return a column of whatever type as text, empty where nothing is said."""
    return values.map(lambda value: "" if pd.isna(value) else str(value)).astype(object)


def _date(image_id: str, image_date: str) -> Any:
    """Return the date in an id, else the one beside it; NaT if neither is a date."""
    for text in (image_id, image_date):
        found = date_in(text)
        date = pd.NaT if found is None else pd.to_datetime("-".join(found), errors="coerce")
        if not pd.isna(date):
            return date
    return pd.NaT


def _in_degrees(raw: gpd.GeoDataFrame, where: str) -> gpd.GeoSeries:
    """Return the outlines of a layer in longitude and latitude, None where they are not on the map."""
    from darts_utils.crs import transformed

    outlines = raw.geometry.force_2d()
    if outlines.crs is None:
        if not _are_degrees(outlines).all():
            raise DataError(f"{where} has no CRS, and its coordinates are no degrees. Assign the CRS.")
        outlines = outlines.set_crs(CRS)
    degrees = transformed(outlines, CRS, where)
    degrees[~_are_degrees(degrees)] = None
    return degrees


def _are_degrees(outlines: gpd.GeoSeries) -> pd.Series:
    """Return (row,) bool, whether all coordinates can be longitudes, which some count beyond 180, and latitudes."""
    west, south, east, north = outlines.bounds.to_numpy().T
    inside = (west >= -360) & (east <= 360) & (south >= -90) & (north <= 90)
    return inside | ~_is_drawn(outlines)


def _mended(layer: Layer) -> Layer:
    """Return a layer with ids stripped and invalid outlines made valid, areas only."""
    rows = layer.rows
    ids = rows["image_id"].str.strip()
    invalid = ~rows.geometry.is_valid & _is_drawn(rows.geometry)
    areas = gpd.GeoSeries([_areas_of(shape) for shape in rows.geometry], index=rows.index, crs=rows.crs)
    repaired = pd.Series("", index=rows.index).mask(ids != rows["image_id"], "repaired: blanks around the id")
    repaired = repaired.mask(invalid & areas.notna(), "repaired: invalid outline")
    mended = rows.assign(image_id=ids, repaired=repaired).set_geometry(areas)
    return Layer(layer.kind, mended, layer.n_files)


def _areas_of(shape: Any) -> Any:
    """Return the valid areas of a geometry, None if it has none."""
    if shape is None or shape.is_empty:
        return None
    valid = shape if shape.is_valid else shapely.make_valid(shape)
    parts = [part for part in shapely.get_parts(valid) if part.geom_type in ("Polygon", "MultiPolygon") and part.area]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def _without_useless(layer: Layer) -> Layer:
    rows = layer.rows
    layer = layer.drop(rows["image_id"] == "", "no image_id").drop(rows.geometry.isna(), "no area")
    outlines = pd.Series(shapely.to_wkb(shapely.normalize(rows.geometry.array)), index=rows.index)
    again = pd.DataFrame({"id": rows["image_id"], "outline": outlines}).duplicated()
    return layer.drop(again, "the same outline for the same image again")


def _counted(texts: pd.Series) -> Iterable[tuple[str, int]]:
    return [(str(text), int(n)) for text, n in texts.value_counts(sort=False).items()]
