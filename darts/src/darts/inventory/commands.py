"""The commands about inventories: each says what it counted, and where it lies.

What they run is imported by them, for it takes a second, and their help none of it.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from darts_postprocessing.inventory.rules import Rules
from darts_utils.errors import ConfigError


def build_inventory(
    *tiles: Path,
    out: Path | None = None,
    continue_from: Annotated[Path | None, Parameter(name="--continue")] = None,
    rules: Annotated[Rules | None, Parameter(name="*")] = None,
    workers: int | None = None,
    ray_address: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Make one inventory of all tiles: what each image shows, the slumps of each year, and their tracks over years.

    The same command goes on where it was stopped, and brings an inventory up to date with tiles that came or went.

    Args:
        tiles: Results folders of runs, or folders of single tiles.
        out: Folder of the inventory; `inventory` in the first folder of tiles if not given.
        continue_from: A published inventory, or a file of its slumps, whose ids are kept; verdicts of an inventory come
            along. Its slumps do not: name the tiles of ALL years.
        rules: What counts.
        workers: Processes that work at once; one a core if not given.
        ray_address: Work on this running Ray cluster instead, auto or HOST:PORT; all its machines must see the folders.
        as_json: Print what was counted as one JSON document, and nothing else.
    """
    if workers is not None and ray_address is not None:
        raise ConfigError("workers are processes of this machine, and ray_address names others. Give one of them.")
    if not tiles:
        raise ConfigError("no tiles were named. Name at least one results folder of a run.")
    from darts.inventory.making import make_inventory

    make_inventory(tiles, out, continue_from, rules, workers=workers, ray_address=ray_address, as_json=as_json)


def track_inventory(
    inventory: Path,
    *,
    continue_from: Annotated[Path | None, Parameter(name="--continue")] = None,
    min_overlap: float | None = None,
    min_looks: int | None = None,
    min_agreement: float | None = None,
    workers: int | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Make slumps and tracks of an inventory again, with other rules or ids; its tiles need not be there any more.

    Args:
        inventory: The inventory; it is changed.
        continue_from: A published inventory, or a file of its slumps, whose ids are kept; verdicts of an inventory come
            along.
        min_overlap: As for `darts inventory build`; as before if not given.
        min_looks: Likewise.
        min_agreement: Likewise.
        workers: Processes that work at once; one a core if not given.
        as_json: Print what was counted as one JSON document, and nothing else.
    """
    from darts.inventory.making import track_again

    changed = {"min_overlap": min_overlap, "min_looks": min_looks, "min_agreement": min_agreement}
    track_again(inventory, continue_from, changed, workers=workers, as_json=as_json)


def evaluate_inventory(
    predictions: Path,
    reference: Path,
    *,
    area: Path | None = None,
    year: int | None = None,
    out: Path = Path("evaluation"),
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Compare slumps with those of a reference, one to one: found, missed and false ones, areas and boundaries.

    Args:
        predictions: An inventory, or a file of polygons.
        reference: Polygons that are taken for true, or another inventory; ARTS negatives count as background.
        area: Polygons of the area in which both were searched for; all that is there counts if not given.
        year: The year of inventories, and of files with a column `year`.
        out: Folder of `scores.json`, `scores.csv` and `report.html`.
        as_json: Print what was counted as one JSON document, and nothing else.
    """
    from darts.inventory.comparing import compare

    compare(predictions, reference, area=area, year=year, out=out, as_json=as_json)


def agreement_of_layers(
    *layers: Path, area: Path | None = None, year: int | None = None, out: Path = Path("agreement")
) -> None:
    """Compare several people's outlines of the same ground with one another, and write what most agree on.

    Args:
        layers: Files of polygons, or folders with one, one a person and named after the person; files that are named
            alike go by the names of their folders. ARTS negatives are no slumps.
        area: Polygons of the ground that all of them worked on.
        year: The year of inventories, and of files with a column `year`.
        out: Folder of `pairs.csv`, `pieces.parquet` (ground with the share of people that call it a slump) and
            `consensus.parquet` (ground that at least half do).
    """
    from darts.inventory.comparing import compare_people

    compare_people(layers, area=area, year=year, out=out)
