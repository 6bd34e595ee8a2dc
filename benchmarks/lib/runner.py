"""How cases run: ours and a baseline in turns, once both lead to the same."""

import argparse
import importlib
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lib.measure import Timing, compared, spread
from benchmarks.lib.results import NO_GOAL, Goal, Result, as_table

CASES = (
    "store_read",
    "warps",
    "tpi",
    "terrain",
    "indices",
    "patches",
    "precision",
    "erosion",
    "objects",
    "polygons",
    "writers",
    "whole_scene",
    "overlap",
    "finished",
    "gpu",
)
"""Modules of `benchmarks.cases`, each with a function `results`."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case, and how it runs."""

    name: str
    size: int | None = None
    """Pixels along an edge; None leaves it to the case."""
    repeat: int = 5
    """Turns that ours and the baseline take."""
    folder: Path = Path("benchmark-scenes")
    """Where made-up scenes are kept from one run to the next."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Ours and a baseline, ready to be called again and again."""

    what: str
    px: int
    ours: Callable[[], Any]
    baseline_name: str
    baseline: Callable[[], Any]
    agree: Callable[[Any, Any], None]
    """Raises an error if the results of both, ours first, are not what they should be."""
    baseline_px: int | None = None
    """None where the baseline works on as many pixels."""
    roofline_s: float | None = None
    """Seconds that no code could do without on this machine."""
    goal: Goal = NO_GOAL


def results_of(case: Case) -> Iterator[Result]:
    """Yield the results of a case.

    Raises:
        AssertionError: If ours and a baseline disagree.
    """
    return importlib.import_module(f"benchmarks.cases.{case.name}").results(case)


def measured(case: Case, trial: Trial) -> Result:
    """Return how ours and the baseline compare, after both were run once and found to agree."""
    trial.agree(trial.ours(), trial.baseline())
    timings = compared(case.repeat, ours=trial.ours, baseline=trial.baseline)
    return result_of(
        case,
        trial.what,
        timings["ours"],
        timings["baseline"],
        px=(trial.px, trial.px if trial.baseline_px is None else trial.baseline_px),
        baseline=trial.baseline_name,
        roofline_s=trial.roofline_s,
        goal=trial.goal,
    )


def result_of(
    case: Case,
    what: str,
    ours: Timing,
    plain: Timing,
    *,
    px: tuple[int, int],
    baseline: str,
    roofline_s: float | None = None,
    goal: Goal = NO_GOAL,
    whole_process: bool = False,
) -> Result:
    """Return what timings of turns say; `px` are those of ours and those of the baseline."""
    ratios = tuple(b / px[1] / (a / px[0]) for a, b in zip(ours.seconds, plain.seconds, strict=True))
    return Result(
        case=case.name,
        what=what,
        repeat=len(ratios),
        seconds=ours.median,
        px=px[0],
        baseline=baseline,
        baseline_seconds=plain.median,
        baseline_px=px[1],
        ratio=statistics.median(ratios),
        spread=spread(ratios),
        gib=ours.gib if whole_process else ours.grown_gib,
        baseline_gib=plain.gib if whole_process else plain.grown_gib,
        roofline_share=None if roofline_s is None else roofline_s / ours.median,
        goal=goal,
    )


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the options that all cases have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--size", type=int, help="pixels along an edge; each case has its own if not given")
    made.add_argument("--repeat", type=int, default=Case.repeat, help="turns of ours and of the baseline")
    made.add_argument("--folder", type=Path, default=Case.folder, help="where made-up scenes are kept")
    made.add_argument("--json", type=Path, help="file to write the results to")
    return made


def run_case(name: str, description: str | None) -> None:
    """Run one case as the command line says, and print its results."""
    options = parser(description).parse_args()
    case = Case(name=name, size=options.size, repeat=options.repeat, folder=options.folder)
    print(as_table([]), flush=True)
    rows = []
    for found in results_of(case):
        rows.append(found.to_json())
        print(as_table(rows[-1:]).splitlines()[-1], flush=True)
    write(rows, options.json)


def write(rows: list[dict[str, Any]], path: Path | None) -> None:
    """Write results to a JSON file, if one is given."""
    if path is not None:
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
