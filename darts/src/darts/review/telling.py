"""What is said of a review: precision by tier and size, and how far people agree."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from darts.utils.console import show_rows, show_table
from darts.utils.terminal import say
from darts_postprocessing.review.figures import VERDICTS
from darts_postprocessing.review.told import without_nan
from darts_utils.text import counted


def print_figures(figures: Sequence[Mapping[str, Any]]) -> None:
    """Print the figures of a review as a JSON document, those of several as a list."""
    told = [{name: value for name, value in one.items() if name != "open"} for one in figures]
    say(json.dumps(without_nan(told[0] if len(told) == 1 else told), indent=2))


def show_figures(figures: Sequence[Mapping[str, Any]]) -> None:
    """Print figures for people."""
    for one in figures:
        _show_review(one)


def _show_review(figures: Mapping[str, Any]) -> None:
    say(f"Review {figures['review']}: {figures['answered']:,} of {figures['asked']:,} questions are answered.")
    columns = ("of", "slump", "not", "unsure", "precision", "95 % interval")
    rows = [
        (_group(one["group"]), str(one["n_slump"]), str(one["n_not"]), str(one["n_unsure"]), *_precision(one))
        for one in figures["precision"]
    ]
    show_table("Precision", columns, rows)
    people = [(f"{name} people", _agreement(one)) for name, one in figures["agreement"].items()]
    show_rows("Agreement", ("of", "what"), people)


def labels_line(final: pd.DataFrame, labels: pd.DataFrame, n_images: int) -> str:
    """Return what labels were written of.

    Args:
        final: The verdict that counts of each slump and year, with its `verdict`.
        labels: One row a label: `slump_id`.
        n_images: With footprints.
    """
    n = {verdict: int((final["verdict"] == verdict).sum()) for verdict in VERDICTS}
    told = f"{n['slump']} slump, {n['not']} not, {n['unsure']} unsure"
    return (
        f"By the verdict on each slump that counts, of all reviews ({told}): "
        f"{counted(len(labels), 'label')} (one on each image that shows the slump) and {counted(n_images, 'footprint')}"
    )


def _group(name: str) -> str:
    return f"{name} m2" if name.startswith("size:") else name


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
