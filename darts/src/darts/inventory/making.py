"""An inventory made of tiles, and what is said of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from darts.inventory.layers import read_part, read_years
from darts.inventory.spreading import spread_over_cluster, spread_over_cores
from darts.utils.console import show_table
from darts.utils.terminal import note, notes_aside, say
from darts_postprocessing.inventory.build import BuiltInventory, build, retrack
from darts_postprocessing.inventory.published import kept_published, published_of
from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.said import INVENTORY, inventory_in
from darts_postprocessing.inventory.tracks import Published
from darts_postprocessing.review.carrying import Judged, carry
from darts_postprocessing.review.told import figures_in
from darts_postprocessing.review.verdicts import FOLDER, is_reviewed
from darts_utils.machine.outputs import check_writable
from darts_utils.paths import user_path
from darts_utils.text import counted


def make_inventory(
    tiles: Sequence[Path],
    out: Path | None,
    continue_from: Path | None,
    rules: Rules | None,
    *,
    workers: int | None,
    ray_address: str | None,
    as_json: bool = False,
) -> None:
    """Make an inventory, see `darts.inventory.commands.build_inventory`."""
    with notes_aside(as_json):
        built = _made(tiles, out, continue_from, rules, workers=workers, ray_address=ray_address)
    (_print if as_json else _show)(built)


def _made(
    tiles: Sequence[Path],
    out: Path | None,
    continue_from: Path | None,
    rules: Rules | None,
    *,
    workers: int | None,
    ray_address: str | None,
) -> BuiltInventory:
    roots = [user_path(folder) for folder in tiles]
    known = _published(continue_from)
    folder = roots[0] / INVENTORY if out is None else user_path(out)
    check_writable(folder)
    kept = kept_published(folder)
    if known is None and kept is not None and is_reviewed(folder):
        note("The inventory that is there was reviewed: its ids are kept.")
        known = kept
    elif known is None and kept is not None:
        note("The inventory that is there keeps published ids. Without --continue they are given up now.")
    judged = _judged(continue_from, folder)
    with spread_over_cores(workers) if ray_address is None else spread_over_cluster(ray_address) as spread:
        built = build(roots, folder, rules, spread=spread, published=known)
    _carry(judged, folder)
    if continue_from is not None and known is not None:
        _say_lacking(known, built)
    return built


def _say_lacking(continued: Published, built: BuiltInventory) -> None:
    """Say which years of an inventory that is continued are not in the one that was built."""
    lacking = sorted(set(continued.years.tolist()) - set(built.slumps))
    if lacking:
        note(
            f"The inventory that is continued has {', '.join(map(str, lacking))}, and these tiles have not: --continue "
            "keeps the ids, not the slumps. Name the tiles of ALL years."
        )


def track_again(
    inventory: Path,
    continue_from: Path | None,
    changed: Mapping[str, float | None],
    *,
    workers: int | None,
    as_json: bool = False,
) -> None:
    """Make slumps and tracks again, see `darts.inventory.commands.track_inventory`."""
    inventory = inventory_in(user_path(inventory), to_change=True)
    check_writable(inventory)
    with notes_aside(as_json):
        known, judged = _published(continue_from), _judged(continue_from, inventory)
    given = {name: value for name, value in changed.items() if value is not None}
    with spread_over_cores(workers) as spread:
        built = retrack(inventory, given, spread=spread, published=known)
    with notes_aside(as_json):
        _carry(judged, inventory)
    (_print if as_json else _show)(built)


def _published(continue_from: Path | None) -> Published | None:
    return None if continue_from is None else published_of(read_years(user_path(continue_from)), str(continue_from))


def _judged(continue_from: Path | None, out: Path) -> Judged | None:
    """Return what people said of the inventory that is gone on with, None if nothing, or if it is the same folder."""
    source = None if continue_from is None else inventory_in(user_path(continue_from))
    if source is None or not (source / FOLDER).is_dir() or source.resolve() == out.resolve():
        return None
    return Judged(verdicts=read_part(source, FOLDER), told=figures_in(source))


def _carry(judged: Judged | None, out: Path) -> None:
    if judged is None:
        return
    n_come, n_left = carry(judged, out)
    if n_come or n_left:
        left = f", {n_left:,} did not, as their slumps are not there" if n_left else ""
        note(f"{counted(n_come, 'verdict')} came along{left}. Figures: `darts inventory verdicts {out}`.")


def _print(built: BuiltInventory) -> None:
    say(json.dumps(asdict(built), indent=2, default=str))


def _show(built: BuiltInventory) -> None:
    show_table("Slumps", ("year", "slumps"), [(str(year), str(number)) for year, number in built.slumps.items()])
    if built.n_without_looks:
        say(
            f"{built.n_without_looks} of {built.n_tiles} tiles do not tell which ground was really seen: they count by "
            "their extent, and make no slump stabilised. Export them again with --export-bands observed."
        )
    numbers = (("tile", built.n_tiles), ("object", built.n_objects), ("slump", built.n_tracks))
    say(f"{', '.join(counted(number, noun) for noun, number in numbers)} over all years")
    say(f"Inventory: {built.folder}")
