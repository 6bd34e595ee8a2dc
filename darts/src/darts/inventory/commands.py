"""The commands about inventories: each says what it counted, and where it lies.

What they run is imported by them, for it takes a second, and their help none of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from darts.utils.console import show_table
from darts.utils.terminal import say
from darts_postprocessing.inventory.rules import Rules
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file, make_folder
from darts_utils.machine.cpu import usable_cores
from darts_utils.paths import user_path

if TYPE_CHECKING:
    from darts_postprocessing.inventory.build import BuiltInventory


def build_inventory(
    *tiles: Path,
    out: Path | None = None,
    continue_from: Annotated[Path | None, Parameter(name="--continue")] = None,
    rules: Annotated[Rules | None, Parameter(name="*")] = None,
    workers: int | None = None,
    ray_address: str | None = None,
) -> None:
    """Make one inventory of all tiles: what each image shows, the slumps of each year, and their tracks over years.

    The same command goes on where it was stopped, and brings an inventory up to date with tiles that came or went.

    Args:
        tiles: Results folders of runs, or folders of single tiles.
        out: Folder of the inventory; `inventory` in the first folder of tiles if not given.
        continue_from: A published inventory, or a file of its slumps, whose ids are kept.
        rules: What counts.
        workers: Processes that work at once; one a core if not given.
        ray_address: Work on this running Ray cluster instead, auto or HOST:PORT; all its machines must see the folders.
    """
    from darts.inventory.cluster import spread_over_cluster
    from darts.inventory.ending import INVENTORY
    from darts_postprocessing.inventory.build import build, spread_over
    from darts_postprocessing.inventory.published import read_published

    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers} but must be at least 1. Correct it.")
    if workers is not None and ray_address is not None:
        raise ConfigError("workers are processes of this machine, and ray_address names others. Give one of them.")
    if not tiles:
        raise ConfigError("no tiles were named. Name at least one results folder of a run.")
    roots = [user_path(folder) for folder in tiles]
    known = None if continue_from is None else read_published(user_path(continue_from))
    folder = roots[0] / INVENTORY if out is None else user_path(out)
    here = spread_over(usable_cores() if workers is None else workers)
    with here if ray_address is None else spread_over_cluster(ray_address) as spread:
        built = build(roots, folder, rules, spread=spread, published=known)
    _show(built)


def evaluate_inventory(
    predictions: Path,
    reference: Path,
    *,
    area: Path | None = None,
    year: int | None = None,
    out: Path = Path("evaluation"),
) -> None:
    """Compare slumps with those of a reference, one to one: found, missed and false ones, areas and boundaries.

    Args:
        predictions: An inventory, or a file of polygons.
        reference: Polygons that are taken for true, or another inventory; ARTS negatives count as background.
        area: Polygons of the area in which both were searched for; all that is there counts if not given.
        year: The year of inventories.
        out: Folder of `scores.json`, `scores.csv` and `report.html`.
    """
    from darts.inventory.layers import read_layer
    from darts_postprocessing.evaluation.report import page, score_lines, scores_json
    from darts_postprocessing.evaluation.scores import evaluate

    searched = None if area is None else read_layer(user_path(area))
    found = evaluate(read_layer(user_path(predictions), year), read_layer(user_path(reference), year), searched)
    out = user_path(out)
    _write(out / "scores.json", scores_json(found))
    _write(out / "scores.csv", found.scores.to_csv(index=False))
    _write(out / "report.html", page(found, f"{predictions.stem} against {reference.stem}"))
    for line in score_lines(found):
        say(line)
    say(f"Page: {out / 'report.html'}")


def agreement_of_layers(*layers: Path, area: Path | None = None, out: Path = Path("agreement")) -> None:
    """Compare several people's outlines of the same ground with one another, and write what most agree on.

    Args:
        layers: Files of polygons, or folders with one, one a person and named after the person; files that are named
            alike go by the names of their folders.
        area: Polygons of the ground that all of them worked on.
        out: Folder of `pairs.csv`, `pieces.parquet` (ground with the share of people that call it a slump) and
            `consensus.parquet` (ground that at least half do).
    """
    from darts.inventory.layers import read_layer
    from darts_postprocessing.evaluation.agreement import agreement_of
    from darts_postprocessing.inventory.parts import in_degrees

    files = [user_path(layer) for layer in layers]
    names = _names_of(files)
    given = {name: read_layer(file) for name, file in zip(names, files, strict=True)}
    found = agreement_of(given, None if area is None else read_layer(user_path(area)))
    out = user_path(out)
    _write(out / "pairs.csv", found.pairs.to_csv(index=False))
    for name, layer in (("pieces", found.pieces), ("consensus", found.consensus())):
        with atomic_file(out / f"{name}.parquet") as part:
            in_degrees(layer).to_parquet(part, index=False)
    rows = [(str(name), f"{value:.2f}") for name, value in found.medians.items()]
    show_table(f"Medians of {len(found.pairs)} pairs of {len(names)} people", ("score", "value"), rows)
    consensus = found.consensus()
    say(f"Ground that at least half call a slump: {consensus['area_m2'].sum():,.0f} m2 in {len(consensus)} polygons")
    say(f"Written: {out}")


def _names_of(files: Sequence[Path]) -> list[str]:
    """Return the names of people: those of their files, or of the folders of files that are named alike."""
    for names in ([file.stem for file in files], [file.parent.name for file in files]):
        if len(set(names)) == len(names) >= 2:  # nobody agrees with oneself
            return names
    raise ConfigError("agreement needs two layers or more, each with a name of its own. Name each once.")


def _write(file: Path, text: str) -> None:
    make_folder(file.parent)
    with atomic_file(file) as part:
        part.write_text(text, encoding="utf-8")


def _show(built: "BuiltInventory") -> None:
    show_table("Slumps", ("year", "slumps"), [(str(year), str(number)) for year, number in built.slumps.items()])
    if built.n_without_looks:
        say(
            f"{built.n_without_looks} of {built.n_tiles} tiles do not tell which ground was really seen: they count by "
            "their extent, and make no slump stabilised. Export them again with --export-bands observed."
        )
    say(f"{built.n_tiles} tiles, {built.n_objects} objects, {built.n_tracks} slumps over all years")
    say(f"Inventory: {built.folder}")
