"""Whether a tile whose export was stopped half way, and gone on with, is the same as one that was made in one go."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from darts.pipelines.results.finished import Kind
from darts.pipelines.results.provenance import Making
from darts.pipelines.run import Resolved, models_of
from darts.pipelines.stages import Stage, build_stages, result_stages
from darts.pipelines.tiles import TileRef, Work, loaded
from darts_export.products import COLOURS
from darts_export.record import FILE as RECORD
from darts_segmentation import EnsembleV1
from darts_segmentation.validation.findings import Finding, passed_if
from darts_utils.rasters.lazy import lazy_band

_NOT_COMPARED = ("DARTS_exportdate", "DARTS_added")
"""In the record: when it was, and what was added later."""
_SAY_AGAIN = ("darts.pipelines.stages", "darts_segmentation.familiarity")
"""What stages say of ground, which is about a scene and not about a part that goes through them again and again."""
_EXPECTED: tuple[Kind, ...] = ("absent", "partial", "done")


class _StoppedError(Exception):
    """The export was stopped."""


def check_resume(run: Resolved, ref: TileRef, ensemble: EnsembleV1, folder: Path) -> Finding:
    """Check that a tile that was stopped twice while it was exported ends with the bytes of one that never was.

    Args:
        run: The run; its source gives the ground that is tried.
        ref: The tile.
        ensemble: Its models.
        folder: Where results go.
    """
    with ExitStack() as quiet:
        for name in _SAY_AGAIN:
            quiet.enter_context(_only_errors(logging.getLogger(name)))
        return _check(run, ref, ensemble, folder)


@contextmanager
def _only_errors(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check(run: Resolved, ref: TileRef, ensemble: EnsembleV1, folder: Path) -> Finding:
    making = run.making(models_of(ensemble), ensemble.precision)
    whole, stopped = folder / "whole", folder / "stopped"
    stages = build_stages(run.parameters, run.source, ensemble, features=run.features, making=making, results=whole)
    exported = _through(stages, ref)
    there = replace(run, results=stopped).finished(lambda: making.recipe)

    _stop_half_way(run, exported, making, stopped)
    states = [there.state(ref).kind]
    half = list(run.parameters.products)[: len(run.parameters.products) // 2]
    fewer = replace(run, parameters=replace(run.parameters, export_bands=half))
    _export(fewer, making, stopped).run(exported)
    states.append(there.state(ref).kind)
    _through([*stages[:-1], _export(run, making, stopped)], ref)
    states.append(there.state(ref).kind)

    names = sorted(path.name for path in (whole / ref.output_folder).iterdir())
    others = _unlike(whole / ref.output_folder, stopped / ref.output_folder, names)
    went = " then ".join(states)
    said = f"; others: {', '.join(others)}" if others else ""
    return Finding(
        check="resume",
        status=passed_if(not others and tuple(states) == _EXPECTED),
        measured=f"{len(others)} of {len(names)} files differ{said} (the tile was {went})",
        limit=f"0 files, {' then '.join(_EXPECTED)}",
        meaning="A tile whose export was stopped and gone on with is the one that was made in one go, byte by byte.",
        figures={"n_files": len(names), "n_other": len(others), "states": went},
    )


def _export(run: Resolved, making: Making, results: Path) -> Stage:
    return result_stages(run.parameters, list(run.models), making, results)[-1]


def _through(stages: Sequence[Stage], ref: TileRef) -> Work:
    """Bring a tile through all stages; return it as it came to the last."""
    work = Work(ref)
    for stage in stages[:-1]:
        work = stage.run(work)
    stages[-1].run(work)
    return work


def _stop_half_way(run: Resolved, exported: Work, making: Making, results: Path) -> None:
    """Export a tile, and stop while its thumbnail is drawn, when other files are there already."""
    given = loaded(exported)

    def stop(rows: slice, columns: slice) -> NoReturn:  # noqa: ARG001  (what asks for a window gives)
        raise _StoppedError

    broken = lazy_band(stop, (given.tile.sizes["y"], given.tile.sizes["x"]), "float32")
    colours = given.tile.assign(dict.fromkeys(COLOURS, broken))
    with suppress(_StoppedError):
        _export(run, making, results).run(replace(given, tile=colours, ground=None))


def _unlike(whole: Path, other: Path, names: Sequence[str]) -> list[str]:
    """Return the files that differ or are there only once."""
    added = sorted({path.name for path in other.iterdir()} - set(names))
    return [name for name in names if not _is_same(whole / name, other / name)] + added


def _is_same(first: Path, second: Path) -> bool:
    if not second.is_file():
        return False
    return _told(first) == _told(second) if first.name == RECORD else first.read_bytes() == second.read_bytes()


def _told(record: Path) -> dict[str, object]:
    """Return what a record says of how results were made."""
    said = json.loads(record.read_text(encoding="utf-8"))
    return {key: value for key, value in said.items() if key not in _NOT_COMPARED}
