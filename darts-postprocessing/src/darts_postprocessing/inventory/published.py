"""Slumps that have been published or reviewed: whatever an inventory is made of later, they keep their ids."""

from pathlib import Path

import geopandas as gpd
import numpy as np
from pyarrow import ArrowException

from darts_postprocessing.inventory.plane import to_plane
from darts_postprocessing.inventory.tracks import Published
from darts_utils.errors import ConfigError, DataError

_NEEDED = ("slump_id", "year")


def read_published(path: Path) -> Published:
    """Return the slumps of an inventory, or of a file of slumps.

    Args:
        path: Folder of an inventory, or GeoParquet or another layer with `slump_id`, `year` and outlines.

    Raises:
        ConfigError: If there is no such file or folder.
        DataError: If it cannot be read, has no such columns, or does not say its coordinates.
    """
    if not path.exists():
        raise ConfigError(f"there is no inventory {path} to continue. Check the path.")
    source = path / "slumps" if (path / "slumps").is_dir() else path
    try:
        is_parquet = source.is_dir() or source.suffix == ".parquet"
        table = gpd.read_parquet(source, columns=[*_NEEDED, "geometry"]) if is_parquet else gpd.read_file(source)
    except (OSError, ValueError, RuntimeError, ArrowException) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{source} cannot be continued ({reason}). Give an inventory of DARTS.") from error
    lacking = [name for name in _NEEDED if name not in table]
    if lacking or table.crs is None:
        raise DataError(f"{source} lacks {', '.join(lacking) or 'a CRS'}. Give an inventory of DARTS.")
    order = np.lexsort((table["year"].to_numpy(), table["slump_id"].to_numpy(dtype=str)))
    return Published(
        ids=table["slump_id"].to_numpy(dtype=str)[order].astype(object),
        years=table["year"].to_numpy(dtype=np.int64)[order],
        outlines=to_plane(table.geometry.to_numpy()[order], table.crs),
    )
