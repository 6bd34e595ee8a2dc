"""`darts_inference.json`: how the results of a tile were made. Written last: a tile without it is not finished."""

import json
import math
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from darts_utils.files import atomic_file

FILE = "darts_inference.json"
FINGERPRINT = "DARTS_fingerprint"
"""Key, and name of the tag, of the SHA-256 over all that decides the results."""
THRESHOLDS = "DARTS_thresholds"
"""Key of what separates the `TIERS` of objects: core probabilities, none where they are not calibrated."""
TIERS = ("low", "medium", "high")
ADDED = "DARTS_added"
"""Key of a list: what later runs added, each with its files and what may differ from the rest of the record."""
_OF_ADDED = ("DARTS_cubes", "DARTS_software", "DARTS_device")


def write_record(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write the record of a tile with the time of export; what JSON does not know is written as text, NaN as null."""
    (folder / FILE).write_text(_text({**metadata, **_stamp()}), encoding="utf-8")


def _stamp() -> dict[str, str]:
    return {"DARTS_exportdate": datetime.now(UTC).isoformat(timespec="seconds")}


def replace_record(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Put another record of a tile in the place of what is there.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    with atomic_file(folder / FILE) as part:
        part.write_text(_text(metadata), encoding="utf-8")


def _text(metadata: Mapping[str, Any]) -> str:
    return json.dumps(_plain(metadata), indent=2, default=str, ensure_ascii=False, allow_nan=False) + "\n"


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a tile, None if there is none that can be read."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def fingerprints(folder: Path) -> frozenset[str]:
    """Return the fingerprints that the files in a folder bear: one if all are of one run or of equal runs."""
    record = read_record(folder) or {}
    found = [record.get(FINGERPRINT), *(_of_file(path) for path in sorted(folder.iterdir()))]
    return frozenset(text for text in found if isinstance(text, str))


def tags_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the metadata goes into rasters and tables too: whatever is one value."""
    return {key: value for key, value in metadata.items() if isinstance(value, str | int | float)}


def _of_file(path: Path) -> str | None:
    """Return the fingerprint in a file, None if it has none or cannot be read."""
    reader = _READERS.get(path.suffix)
    if reader is None:
        return None
    try:
        return reader(path).get(FINGERPRINT) if path.stat().st_size else None
    except (OSError, ValueError, RuntimeError):  # whatever the libraries say of a damaged file
        return None


def _raster_tags(path: Path) -> Mapping[str, str]:
    import rasterio

    with rasterio.open(path, driver="GTiff") as file:
        tags: Mapping[str, str] = file.tags()
        return tags


def _parquet_metadata(path: Path) -> Mapping[str, str]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items() if key.startswith(b"DARTS_")}


def _geopackage_metadata(path: Path) -> Mapping[str, str]:
    import pyogrio

    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            return {}  # GDAL would open what only names other files, whatever it is called
    return pyogrio.read_info(path).get("dataset_metadata") or {}


def changed_image(folder: Path, metadata: Mapping[str, Any]) -> str | None:
    """Return in words what an image says of itself now and did not when its results were made, None if nothing."""
    was = read_record(folder) or {}
    now = _plain(tags_of(metadata))
    for key in sorted(now.keys() & was.keys()):
        if not key.startswith("DARTS_") and now[key] != was[key]:
            return f"{key} {was[key]}, now {now[key]}"
    return None


def record_added(folder: Path, names: Collection[str], metadata: Mapping[str, Any]) -> None:
    """Say in the record of a tile, if there is one, what is added to it: cubes and software may be newer by then."""
    record = read_record(folder)
    if record is None:
        return
    made = {key: metadata[key] for key in _OF_ADDED if key in metadata}
    added = [*record.get(ADDED, []), {"files": sorted(names), **made, **_stamp()}]
    replace_record(folder, {**record, ADDED: added})


_SQLITE = b"SQLite format 3\0"
_READERS = {".tif": _raster_tags, ".parquet": _parquet_metadata, ".gpkg": _geopackage_metadata}


def _plain(value: Any) -> Any:
    """Return a value with every NaN and infinity, which JSON lacks, as None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
