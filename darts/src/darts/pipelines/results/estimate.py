"""How long tiles will take to compute and how much room their results need, by earlier runs or else by a table."""

import json
import platform
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from darts.pipelines.results.progress import FILE
from darts.utils.console import duration
from darts_export.record import FILE as RECORD
from darts_utils.machine.cpu import usable_cores

_RUNS, _TILES = 5, 20
"""As many of those that ended last are looked at."""
_CPU_S = {"sentinel2": 240.0, "planet": 130.0}
"""CPU seconds of a whole image with two U-Nets on a ResNet-34: `docs/dev/performance.md`, orthotiles by their size."""
_BYTES = {"sentinel2": 30e6, "planet": 20e6}
"""Of the default products of a whole image with many slumps."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What tiles will take; by what that is known is said."""

    seconds: float | None
    """None where nothing tells."""
    seconds_by: str
    n_bytes: float
    n_bytes_by: str


def estimate(results: Path, n_tiles: int, *, sensor: str, on_gpu: bool) -> Estimate:
    """Return what tiles will take to compute, without what is fetched, and to keep.

    Args:
        results: The results folder; the folders of other pipelines beside it are not looked at.
        n_tiles: How many tiles.
        sensor: `sentinel2` or `planet`.
        on_gpu: Whether networks run on a GPU, of which there is no table.
    """
    rates = sorted(islice(_seconds_a_tile(results), _RUNS))
    if rates:
        seconds: float | None = n_tiles * statistics.median(rates)
        by = f"{len(rates)} earlier runs on this machine" if len(rates) > 1 else "an earlier run on this machine"
    elif on_gpu:
        seconds, by = None, "no earlier run on this machine tells, and there is no table for GPUs"
    else:
        seconds = n_tiles * _CPU_S[sensor] / usable_cores()
        by = f"a table for whole images and two ResNet-34 models on {usable_cores()} cores"
    sizes = [_size(folder) for folder in islice(_tiles(results), _TILES)]
    return Estimate(
        seconds=seconds,
        seconds_by=by,
        n_bytes=n_tiles * (statistics.mean(sizes) if sizes else _BYTES[sensor]),
        n_bytes_by=_counted(len(sizes)) if sizes else "a table for whole images",
    )


def _counted(n_tiles: int) -> str:
    return "a tile that is there" if n_tiles == 1 else f"{n_tiles} tiles that are there"


def _seconds_a_tile(results: Path) -> Iterator[float]:
    """Yield what runs of this machine took for a tile, the last first."""
    for path in sorted(results.glob(f"*.{FILE}"), reverse=True):
        said = _read(path)
        try:
            worked = said["success"] + said["failed"]
            if said["host"] == platform.node() and said["ended"] == "finished" and said["success"]:
                yield (said["written"] - said["started"]) / worked
        except (KeyError, TypeError, ZeroDivisionError):
            continue


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _tiles(results: Path) -> Iterator[Path]:
    """Yield folders of finished tiles, those of orthotiles lie one deeper."""
    for depth in ("*", "*/*"):
        yield from (path.parent for path in results.glob(f"{depth}/{RECORD}"))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def estimate_lines(found: Estimate, size: str) -> list[str]:
    """Return an estimate in two lines; `size` is its bytes for people."""
    time = "unknown" if found.seconds is None else f"about {duration(found.seconds)}"
    by = "" if found.seconds is None else "by "
    return [
        f"  to compute: {time} ({by}{found.seconds_by})",
        f"  results: about {size} (by {found.n_bytes_by})",
    ]
