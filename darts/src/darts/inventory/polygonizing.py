"""Polygons made again from the probabilities of tiles, and what is said of them."""

from collections.abc import Sequence
from pathlib import Path

from darts.utils.terminal import say
from darts_export.repolygonize.rules import Outlining
from darts_export.repolygonize.tiles import find_rasters, places_for, polygonize_raster
from darts_utils.machine.outputs import check_writable, writing
from darts_utils.paths import user_path
from darts_utils.text import counted


def polygonize(tiles: Sequence[Path], out: Path | None, **how: float) -> None:
    """Make polygons again, see `darts.inventory.polygonize.polygonize_tiles`."""
    rules = Outlining(**how)
    if out is not None:
        check_writable(user_path(out))
    rasters = find_rasters([user_path(path) for path in tiles])
    places = places_for(rasters, None if out is None else user_path(out))
    n_objects = 0
    for target, raster in places.items():
        with writing(target.parent):
            n_objects += polygonize_raster(raster, target, rules)
    if len(places) < len(rasters):
        left = f"{len(rasters) - len(places)} of {len(rasters)}"
        say(f"{left} tiles have polygons, and were left as they are. Name a folder for other ones with --out.")
    say(f"{counted(len(places), 'tile')}, {counted(n_objects, 'object')} at {rules}")
    if out is not None:
        say(f"Written: {user_path(out)}")
