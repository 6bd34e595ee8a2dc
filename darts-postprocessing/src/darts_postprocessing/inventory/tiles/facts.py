"""What is known of a tile before its outlines are read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.inventory.cells import cell_at
from darts_postprocessing.inventory.tiles.tables import (
    DENSITY,
    EXTENT,
    OBSERVED,
    RECORD,
    SEGMENTS,
    damaged,
    geometry_of,
    header,
    placed,
    read_record,
)
from darts_utils.errors import DataError


@dataclass(frozen=True, kw_only=True)
class TileFacts:
    """What is known of a tile before its outlines are read."""

    folder: Path
    image_id: str
    sensor: str
    acquired: str
    """Day of its image, YYYY-MM-DD."""
    model_ids: str
    """Ids of its models in rising order, with commas between them; empty where an earlier release did not say them."""
    threshold: str
    """Probability above which ground is a slump, as the tile says it."""
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    """Core probabilities from which on objects are of a tier, by tier; empty where they are not calibrated."""
    is_calibrated: bool = False
    """Whether its probabilities are."""
    cell: str
    """Cell of the plane that the middle of its extent lies in."""
    digest: str
    """Changes when its results do."""

    @property
    def year(self) -> int:
        """Year of its image."""
        return int(self.acquired[:4])

    @property
    def saw(self) -> str:
        """Name of the file with the ground that was seen, or that of the extent, of older tiles."""
        return OBSERVED if (self.folder / OBSERVED).is_file() else EXTENT


def tile_facts(folder: Path) -> TileFacts:
    """Return what is known of a tile, from its record and the headers of its tables.

    Raises:
        DataError: If a table is damaged, or the tile does not say its image or the day of it.
    """
    record = read_record(folder)
    segments = header(folder / SEGMENTS)
    tags = {
        key.decode(): value.decode() for key, value in (segments.metadata or {}).items() if not key.startswith(b"{")
    }
    said = {**tags, **{key: value for key, value in record.items() if isinstance(value, str | int | float)}}
    saw = OBSERVED if (folder / OBSERVED).is_file() else EXTENT
    image_id = said.get("DARTS_tile_id") or folder.name
    acquired = str(said.get("acquired") or "")[:10]
    if not _is_day(acquired):
        raise DataError(
            f"the tile {folder} does not say when its image was acquired, so it belongs to no year. Map it again, or"
            " move it out of the folder."
        )
    thresholds = record.get("DARTS_thresholds") or {}
    if not (isinstance(thresholds, dict) and all(isinstance(one, float | int | None) for one in thresholds.values())):
        raise DataError(f"DARTS_thresholds in {folder / RECORD} are no numbers. Map the tile again with --overwrite.")
    return TileFacts(
        folder=folder,
        image_id=str(image_id),
        sensor=str(said.get("sensor") or ""),
        acquired=acquired,
        model_ids=_model_ids(str(said.get("DARTS_models") or "")),
        threshold=str(said.get("DARTS_binarization_threshold", "")),
        thresholds=thresholds,
        is_calibrated=record.get("DARTS_calibrated") is True,
        cell=_cell_of(folder / (EXTENT if (folder / EXTENT).is_file() else saw)),
        digest=_digest(folder),
    )


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and pd.Timestamp(text).strftime("%Y-%m-%d") == text
    except ValueError:
        return False


def _model_ids(said: str) -> str:
    """Return the ids out of `name id, name id`."""
    return ",".join(sorted(part.rsplit(" ", 1)[-1] for part in said.split(", ") if " " in part))


def _cell_of(file: Path) -> str:
    """Return the cell of the middle of what a table covers, which its header tells."""
    metadata = header(file).metadata or {}
    name, crs = geometry_of(metadata, file)
    bounds = json.loads(metadata[b"geo"])["columns"][name].get("bbox")
    if bounds is None:  # of no ground: it may lie anywhere
        return cell_at(0, 0)
    try:
        whole = shapely.box(*bounds)
    except (TypeError, ValueError) as error:
        raise damaged(file, f"its bounds are {bounds}") from error
    (middle,) = placed(np.array([whole], dtype=object), crs, file)
    point = shapely.centroid(middle)
    return cell_at(point.x, point.y) if not point.is_empty else cell_at(0, 0)


def _digest(folder: Path) -> str:
    """Return what changes when the results of a tile do: a hash over its record, and size and time of its tables."""
    content = hashlib.sha256()
    record = folder / RECORD
    content.update(record.read_bytes() if record.is_file() else b"")
    for name in (SEGMENTS, OBSERVED, EXTENT, DENSITY):
        file = folder / name
        if file.is_file():
            status = file.stat()
            content.update(f"{name} {status.st_size} {status.st_mtime_ns}".encode())
    return content.hexdigest()
