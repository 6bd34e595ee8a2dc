"""What an inventory says of its reviews, `verdicts.json`: the figures of each, and of which map they are."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darts_postprocessing.review.verdicts import of_this_map, review_figures
from darts_utils.errors import DataError, one_line
from darts_utils.files import atomic_file

FIGURES = "verdicts.json"
"""In an inventory: what each review says of the map and of the people."""
_OPEN = ["slump_id", "year", "is_repeat"]


def told_of(
    about: Mapping[str, Any], verdicts: pd.DataFrame, still_open: pd.DataFrame, slumps: pd.DataFrame
) -> dict[str, Any]:
    """Return what is told of a review: what is known `about` it, its figures, and what is `open`.

    Args:
        about: `review` and how its questions were chosen.
        verdicts: See `review_figures`, as the others.
        still_open: Of slumps that are there or are not.
        slumps: All of them.
    """
    left = of_this_map(still_open, slumps)
    is_open = [[str(slump), int(year), bool(again)] for slump, year, again in left[_OPEN].itertuples(index=False)]
    return {**about, **review_figures(verdicts, left, slumps), "open": is_open}


def told_again(told: Mapping[str, Any], verdicts: pd.DataFrame, slumps: pd.DataFrame) -> dict[str, Any]:
    """Return what is told of a review whose file is not at hand, for the map as it is now.

    Args:
        told: What was told before.
        verdicts: Those of it that are in the inventory, on slumps that are there.
        slumps: All of them.
    """
    about = {name: value for name, value in told.items() if name in ("review", "plan", "year", "seed")}
    is_open = pd.DataFrame(told["open"], columns=_OPEN).astype({"slump_id": str, "year": "int64", "is_repeat": bool})
    return told_of(about, verdicts, is_open, slumps)


def figures_in(inventory: Path) -> list[dict[str, Any]]:
    """Return what an inventory says of its reviews, nothing if it was not reviewed.

    Raises:
        DataError: If it cannot be read.
    """
    file = inventory / FIGURES
    if not file.is_file():
        return []
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return [{**one, "review": str(one["review"]), "open": list(one["open"])} for one in found]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{file} cannot be read ({one_line(error, 120)}). Delete it; it is made again.") from error


def write_figures(inventory: Path, figures: Sequence[Mapping[str, Any]]) -> None:
    """Let an inventory say something of its reviews, in the order of their ids; of none there is no file."""
    if not figures:
        (inventory / FIGURES).unlink(missing_ok=True)
        return
    with atomic_file(inventory / FIGURES) as part:
        part.write_bytes(figures_bytes(figures))


def figures_bytes(figures: Sequence[Mapping[str, Any]]) -> bytes:
    """Return what `verdicts.json` holds."""
    ordered = sorted(figures, key=lambda one: str(one["review"]))
    return (json.dumps(without_nan(ordered), indent=1, sort_keys=True) + "\n").encode()


def without_nan(value: Any) -> Any:
    """Return figures for JSON: null for what there is nothing to say of."""
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
