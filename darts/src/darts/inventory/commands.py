"""The commands about inventories: each says what it counted, and where it lies.

What they run is imported by them, for it takes a second, and their help none of it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from darts.utils.console import show_table
from darts.utils.terminal import say
from darts_postprocessing.inventory.rules import Rules
from darts_utils.errors import ConfigError
from darts_utils.machine.cpu import usable_cores
from darts_utils.paths import user_path

if TYPE_CHECKING:
    from darts_postprocessing.inventory.build import BuiltInventory

INVENTORY = "inventory"
"""Folder among the tiles that an inventory is written to unless another is named."""


def build_inventory(
    *tiles: Path,
    out: Path | None = None,
    continue_from: Annotated[Path | None, Parameter(name="--continue")] = None,
    rules: Annotated[Rules | None, Parameter(name="*")] = None,
    workers: int | None = None,
) -> None:
    """Make one inventory of all tiles: what each image shows, the slumps of each year, and their tracks over years.

    The same command goes on where it was stopped, and brings an inventory up to date with tiles that came or went.

    Args:
        tiles: Results folders of runs, or folders of single tiles.
        out: Folder of the inventory; `inventory` in the first folder of tiles if not given.
        continue_from: A published inventory, or a file of its slumps, whose ids are kept.
        rules: What counts.
        workers: Processes that work at once; one a core if not given.
    """
    from darts_postprocessing.inventory.build import build, spread_over
    from darts_postprocessing.inventory.published import read_published

    if not tiles:
        raise ConfigError("no tiles were named. Name at least one results folder of a run.")
    roots = [user_path(folder) for folder in tiles]
    known = None if continue_from is None else read_published(user_path(continue_from))
    built = build(
        roots,
        roots[0] / INVENTORY if out is None else user_path(out),
        rules,
        spread=spread_over(usable_cores() if workers is None else workers),
        published=known,
    )
    _show(built)


def _show(built: "BuiltInventory") -> None:
    show_table("Slumps", ("year", "slumps"), [(str(year), str(number)) for year, number in built.slumps.items()])
    if built.n_without_looks:
        say(
            f"{built.n_without_looks} of {built.n_tiles} tiles do not tell which ground was really seen: they count by "
            "their extent, and make no slump stabilised. Export them again with --export-bands observed."
        )
    say(f"{built.n_tiles} tiles, {built.n_objects} objects, {built.n_tracks} slumps over all years")
    say(f"Inventory: {built.folder}")
