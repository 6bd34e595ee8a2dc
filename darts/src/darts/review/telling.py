"""What is said of a review: precision by tier and size, and how far people agree."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from darts.utils.console import show_rows, show_table
from darts.utils.terminal import say
from darts_utils.text import counted


def print_figures(figures: Any) -> None:
    """Print figures as JSON."""
    say(json.dumps(without_nan(figures), indent=2))


def show_figures(figures: Mapping[str, Any]) -> None:
    """Print figures for people."""
    say(f"{figures['answered']:,} of {figures['asked']:,} questions are answered.")
    columns = ("of", "slump", "not", "unsure", "precision", "95 % interval")
    rows = [
        (one["group"], str(one["n_slump"]), str(one["n_not"]), str(one["n_unsure"]), *_precision(one))
        for one in figures["precision"]
    ]
    show_table("Precision", columns, rows)
    people = [(f"{name} people", _agreement(one)) for name, one in figures["agreement"].items()]
    show_rows("Agreement", ("of", "what"), people)


def without_nan(value: Any) -> Any:
    """Return figures for JSON: null for what there is nothing to say of."""
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _precision(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["n_open"]:
        return f"not told: {counted(row['n_open'], 'question')} open", ""
    if not np.isfinite(row["precision"]):
        return "not told: all unsure" if row["n_unsure"] else "not told", ""
    return f"{row['precision']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}"


def _agreement(one: Mapping[str, Any]) -> str:
    """Return in words how far people agree; kappa is not known where all said the same."""
    if not one["n"]:
        return "nothing yet: no slump has two verdicts"
    kappa = f"kappa {one['kappa']:.2f}" if np.isfinite(one["kappa"]) else "kappa is not told where all say one word"
    return f"{counted(int(one['n']), 'pair')}, {one['agreed']:.2f} agree, {kappa}"
