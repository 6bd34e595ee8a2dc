"""What the record of a run tells of its parameters, to whoever has a tile of it."""

import logging
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


@cache
def parameters_above(tile: Path) -> Mapping[str, Any]:
    """Return the parameters of the last run that wrote to the folder of a tile's results, or the one above it.

    Args:
        tile: Folder of the tile.

    Returns:
        What `{time}.config.toml` holds; empty if there is none, or it cannot be read.
    """
    for above in (tile.parent, tile.parent.parent):
        configs = sorted(above.glob("*.config.toml"))
        if configs:
            return _in_config(configs[-1])
    return {}


def _in_config(file: Path) -> Mapping[str, Any]:
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8")).get("darts", {})
    except (OSError, ValueError) as error:
        logger.warning("%s tells nothing: %s", file, error)
        return {}
    return said if isinstance(said, dict) else {}
