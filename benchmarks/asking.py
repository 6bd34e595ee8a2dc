"""How questions are asked: each alone, or several in turn, each in a process of its own."""

import argparse
import importlib
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.answers import NO_GOAL, Answer, Goal, as_table
from benchmarks.measure import Timing, compared, spread

QUESTIONS = (
    "store_read",
    "warps",
    "tpi",
    "terrain",
    "indices",
    "patches",
    "erosion",
    "objects",
    "polygons",
    "writers",
    "whole_scene",
    "overlap",
    "finished",
    "gpu",
)
"""Modules of this package, each with a function `answers`."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question, and how it is asked."""

    question: str
    size: int | None = None
    """Pixels along an edge; None leaves it to the question."""
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
    baseline: str
    plainly: Callable[[], Any]
    """The baseline."""
    agree: Callable[[Any, Any], None]
    """Raises an error if the results of both, ours first, are not what they should be."""
    baseline_px: int | None = None
    """None where the baseline works on as many pixels."""
    floor_s: float | None = None
    """Seconds that no code could do without on this machine."""
    goal: Goal = NO_GOAL


def answers_to(asked: Asked) -> Iterator[Answer]:
    """Yield what a question is answered with.

    Raises:
        AssertionError: If ours and a baseline disagree.
    """
    return importlib.import_module(f"benchmarks.{asked.question}").answers(asked)


def answered(asked: Asked, trial: Trial) -> Answer:
    """Return how ours and the baseline compare, after both were run once and found to agree."""
    trial.agree(trial.ours(), trial.plainly())
    timings = compared(asked.repeat, ours=trial.ours, baseline=trial.plainly)
    return answer(
        asked,
        trial.what,
        timings["ours"],
        timings["baseline"],
        px=(trial.px, trial.px if trial.baseline_px is None else trial.baseline_px),
        baseline=trial.baseline,
        floor_s=trial.floor_s,
        goal=trial.goal,
    )


def answer(
    asked: Asked,
    what: str,
    ours: Timing,
    plain: Timing,
    *,
    px: tuple[int, int],
    baseline: str,
    floor_s: float | None = None,
    goal: Goal = NO_GOAL,
    whole_process: bool = False,
) -> Answer:
    """Return what timings of turns say; `px` are those of ours and those of the baseline."""
    ratios = tuple(b / px[1] / (a / px[0]) for a, b in zip(ours.seconds, plain.seconds, strict=True))
    return Answer(
        question=asked.question,
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
        floor_share=None if floor_s is None else floor_s / ours.median,
        goal=goal,
    )


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the options that all questions have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--size", type=int, help="pixels along an edge; each question has its own if not given")
    made.add_argument("--repeat", type=int, default=Asked.repeat, help="turns of ours and of the baseline")
    made.add_argument("--folder", type=Path, default=Asked.folder, help="where made-up scenes are kept")
    made.add_argument("--json", type=Path, help="file to write the answers to")
    return made


def ask(question: str, description: str | None) -> None:
    """Answer one question as the command line asks it."""
    options = parser(description).parse_args()
    asked = Asked(question=question, size=options.size, repeat=options.repeat, folder=options.folder)
    print(as_table([]), flush=True)
    rows = []
    for found in answers_to(asked):
        rows.append(found.to_json())
        print(as_table(rows[-1:]).splitlines()[-1], flush=True)
    write(rows, options.json)


def write(rows: list[dict[str, Any]], path: Path | None) -> None:
    """Write answers to a JSON file, if one is given."""
    if path is not None:
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
