"""What an inventory says of itself, `inventory.json`: what it is made of, by which rules, and whether it is whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from darts_postprocessing.inventory.parts import VERSION
from darts_postprocessing.inventory.rules import Rules
from darts_utils.errors import ConfigError, DataError
from darts_utils.files import atomic_file

FILE = "inventory.json"
INVENTORY = "inventory"
"""Folder of an inventory in a folder that holds one."""
CATALOGUE = "catalog.json"
"""File of a published catalogue, beside its inventory."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What goes into an inventory."""

    images: Sequence[Sequence[str]]
    """Each with the ids of its models, in rising order."""
    years: Sequence[int]
    n_without_looks: int
    results: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By image: SHA-256 of the tables of its tiles, in rising order; nothing in inventories of earlier releases."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What an inventory says of itself."""

    rules: Rules
    counted: Counted


def write_said(out: Path, rules: Rules, counted: Counted, *, unfinished: str | None = None) -> None:
    """Write what an inventory is made of; while it changes also which command is at it."""
    said = {
        "format": "darts-inventory",
        "format_version": VERSION,
        "darts_version": version("darts-postprocessing"),
        "rules": {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(rules).items()},
        "years": list(counted.years),
        "images": [list(one) for one in counted.images],
        "images_without_looks": counted.n_without_looks,
        "results": {image: list(several) for image, several in counted.results.items()},
        **({} if unfinished is None else {"unfinished": unfinished}),
    }
    with atomic_file(out / FILE) as file:
        file.write_text(json.dumps(said, indent=1, sort_keys=True), encoding="utf-8")


def inventory_in(folder: Path, *, to_change: bool = False) -> Path:
    """Return an inventory, or the one in a folder that holds it: a results folder, or a published catalogue.

    Args:
        folder: Whatever a user named.
        to_change: Whether it is going to be changed.

    Raises:
        ConfigError: If what is published would be changed.
    """
    inner = folder / INVENTORY
    found = inner if not (folder / FILE).is_file() and (inner / FILE).is_file() else folder
    if to_change and (found / FILE).is_file() and (found.absolute().parent / CATALOGUE).is_file():
        raise ConfigError(
            f"{found} is published, and what is published stays as it is. Copy the folder {found.name} elsewhere, or "
            "go on with `darts inventory build TILES --continue` and the catalogue: with the tiles of ALL years, for "
            "that keeps the ids, not the slumps."
        )
    return found


def origin_of(folder: Path) -> dict[str, str]:
    """Return what an inventory was made of and by, as short texts that travel with its layers.

    Returns:
        `DARTS_version DARTS_models DARTS_rules DARTS_years DARTS_images`: the release that reads it, ids of all models,
        its rules, its years, and how many images it is of.
    """
    said = read_said(folder)
    models = sorted({one for _, models in said.counted.images for one in models.split(",") if one})
    rules = {name: value for name, value in asdict(said.rules).items() if value is not None}
    return {
        "DARTS_version": version("darts-postprocessing"),
        "DARTS_models": " ".join(models),
        "DARTS_rules": json.dumps(rules, sort_keys=True, default=list),
        "DARTS_years": " ".join(map(str, said.counted.years)),
        "DARTS_images": str(len(said.counted.images)),
    }


def read_said(folder: Path, unfinished_is_fine: Sequence[str] = ()) -> Said:
    """Return what an inventory says of itself.

    Args:
        folder: The inventory.
        unfinished_is_fine: Commands that may have been stopped half way, `build` and `track`.

    Raises:
        ConfigError: If there is none.
        DataError: If that is damaged, or a command that changed the inventory was not finished.
    """
    if not (folder / FILE).is_file():
        raise ConfigError(f"{folder} is no inventory. Make one with `darts inventory build`.")
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = Said(
            rules=_rules_in(said["rules"]),
            counted=Counted(
                images=[(str(image), str(models)) for image, models in said["images"]],
                years=[int(year) for year in said["years"]],
                n_without_looks=int(said["images_without_looks"]),
                results={image: tuple(map(str, several)) for image, several in said.get("results", {}).items()},
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{folder / FILE} is damaged ({error}). Build the inventory again.") from error
    unfinished = said.get("unfinished")
    if unfinished is not None and unfinished not in unfinished_is_fine:
        raise DataError(
            f"{folder} is half changed: `darts inventory {unfinished}` was stopped or failed. Run it again to the end."
        )
    return found


def rules_of(folder: Path) -> Rules | None:
    """Return the rules that an inventory was made by; None if there is none, or it does not tell them."""
    try:
        return read_said(folder, unfinished_is_fine=("build", "track")).rules
    except (ConfigError, DataError):
        return None


def _rules_in(said: Mapping[str, Any]) -> Rules:
    given: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in said.items()}
    return Rules(**given)
