"""All checks of inference, one after the other, on a part of a scene; their table, on the screen and as a file."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr

import darts
from darts.models.commands import find_model
from darts.models.table import ID_DIGITS
from darts.pipelines.computing.ability import Ability
from darts.pipelines.computing.settled import settled_patch_px
from darts.pipelines.run import Resolved, resolve
from darts.pipelines.stages import feature_stages
from darts.pipelines.tiles import TileRef, Work, loaded
from darts.utils.console import show_rows
from darts.utils.terminal import is_plain, output_console, say
from darts.validation.command import ValidationParameters
from darts.validation.planted import check_georeference
from darts.validation.resumed import check_resume
from darts.validation.scene import choose_window, only_window, pipeline_for
from darts_export.image import sensor
from darts_segmentation import EnsembleV1
from darts_segmentation.models.card import ModelCard
from darts_segmentation.network_memory import bytes_per_px
from darts_segmentation.patches import Patching
from darts_segmentation.precision import faster_precisions
from darts_segmentation.self_check import best_precision
from darts_segmentation.self_check import check_precisions as try_precisions
from darts_segmentation.validation.findings import Finding
from darts_segmentation.validation.of_input import (
    check_batch_size,
    check_determinism,
    check_no_data,
    check_precisions,
)
from darts_segmentation.validation.of_views import check_views
from darts_segmentation.validation.on_the_grid import check_coverage, check_offset, check_seams, on_shifted_grid
from darts_segmentation.validation.subject import Subject, subject_of
from darts_utils.errors import ConfigError, DataError
from darts_utils.files import atomic_file
from darts_utils.machine.devices import device_name
from darts_utils.parameters import Precision, precision_named
from darts_utils.paths import PathManager
from darts_utils.rasters.window import Window

logger = logging.getLogger(__name__)

_SMALLEST_PATCH_PX = 128
_RESUMED_PX = 512
"""Edge of the ground that is exported, at most: all of it goes through the networks twice."""
_UNSURE = 0.05
_COLUMNS = ("check", "result", "measured", "limit", "meaning")


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What is tried, and on what."""

    run: Resolved
    ref: TileRef
    ensemble: EnsembleV1
    window: Window
    shape: tuple[int, int]
    """Of the whole scene."""
    subject: Subject


def validate(
    models: Sequence[str], scene: str, parameters: ValidationParameters, window_px: int, out: Path | None
) -> list[Finding]:
    """Check inference, say and write what was found, and return it; see `darts.validation.command`."""
    files = [find_model(model, PathManager(parameters.default_dirs).models) for model in models]
    with TemporaryDirectory(prefix="darts-validate-") as name:
        ground = _ground(files, scene, parameters, window_px, Path(name))
        for line in _about(ground):
            say(line)
        findings = list(_tracked(_checks(ground, Path(name))))
    rows = [(one.check, one.status, one.measured, one.limit, one.meaning) for one in findings]
    show_rows("Checks of inference", _COLUMNS, rows)
    say(_verdict(findings))
    if out is not None:
        with atomic_file(out) as part:
            part.write_text(json.dumps(_as_json(ground, findings), indent=2) + "\n", encoding="utf-8")
    return findings


def _ground(
    files: Sequence[Path], scene: str, parameters: ValidationParameters, window_px: int, folder: Path
) -> _Ground:
    run = resolve(pipeline_for(scene, files, parameters, folder / "results"))
    cards = run.cards  # before the scene: a file that is no model is told first
    (ref,) = run.source.find()
    image = run.source.load(ref)
    _check_sensors(cards, {run.parameters.trained_on, sensor(image)}, ref)
    quality = image["quality_data_mask"].values
    if not quality.any():
        raise DataError(f"{ref.tile_id} has not one valid pixel, so nothing can be tried on it. Give another scene.")
    ensemble = run.load_models()
    run = _with_patches(run, ensemble)

    def slumps(window: Window) -> float:
        """Return how much looks like slumps in the patch in the middle of a window."""
        edge = min(run.parameters.patch_px, window.height, window.width)
        middle = _middle(window, edge)
        if not quality[middle.rows, middle.columns].any():
            return 0.0
        found = ensemble.segment_tile(_prepared(run, ref, middle), edge, 0, 1)["probabilities"].values
        return float(np.nansum(found))

    window = choose_window(quality, window_px, slumps)
    tile, patching = _prepared(run, ref, window), _patching(run, window)
    ensemble.precision = _precision(run.parameters.precision, ensemble, tile)
    subject = subject_of(ensemble, tile, patching, run.parameters.tta)
    return _Ground(run=run, ref=ref, ensemble=ensemble, window=window, shape=quality.shape, subject=subject)


def _with_patches(run: Resolved, ensemble: EnsembleV1) -> Resolved:
    """Return the run with patches as large as a run would take here."""
    weigh = partial(bytes_per_px, ensemble.members, ensemble.device)
    patch_px = settled_patch_px(run.parameters, run.results, Ability.of(ensemble.device), weigh)
    return replace(run, parameters=run.with_patches(patch_px))


def _precision(given: str, ensemble: EnsembleV1, tile: xr.Dataset) -> Precision:
    """Return what a run would compute in that begins with this tile."""
    if given != "auto":
        return precision_named(given)
    faster = faster_precisions(ensemble.device)
    return best_precision(try_precisions(ensemble.members, tile, ensemble.device, faster), faster)


def _check_sensors(cards: Mapping[str, ModelCard], of_scene: set[str | None], ref: TileRef) -> None:
    """Refuse models of another sensor than the scene; those that do not say of which they are go.

    Raises:
        ConfigError: If there is one.
    """
    sensors = {name: card.sensors for name, card in cards.items()}
    others = {name: said for name, said in sensors.items() if said and of_scene.isdisjoint(said)}
    if others:
        listed = ", ".join(f"{name} ({' and '.join(sorted(said))})" for name, said in others.items())
        of = " or ".join(sorted(filter(None, of_scene)))
        raise ConfigError(f"{ref.tile_id} is of {of}, but models were trained on another sensor: {listed}. Pair them.")


def _prepared(run: Resolved, ref: TileRef, window: Window) -> xr.Dataset:
    """Return the features of a part of a scene, lazy, as a run makes them."""
    work = Work(ref)
    for stage in feature_stages(run.parameters, only_window(run.source, window), run.features, run.model_bands):
        work = stage.run(work)
    return loaded(work).tile


def _middle(window: Window, edge: int) -> Window:
    """Return the square in the middle of a window."""
    top, left = window.top + (window.height - edge) // 2, window.left + (window.width - edge) // 2
    return Window(top, left, edge, edge)


def _patching(run: Resolved, window: Window) -> Patching:
    """Return how runs cut tiles; patches are halved until at least two lie side by side."""
    given = run.parameters
    size, overlap = given.patch_px, given.overlap
    while size >= 2 * _SMALLEST_PATCH_PX and 2 * size - overlap > min(window.height, window.width):
        size, overlap = size // 2, overlap // 2
    return Patching(patch_size=size, overlap=overlap, batch_size=given.batch_size, reflection=given.reflection)


def _checks(ground: _Ground, folder: Path) -> list[tuple[str, Callable[[], list[Finding]]]]:
    """Return all checks, by name; those that need not look far take the part of the ground with slumps."""
    subject, patching = ground.subject, ground.subject.patching
    part = subject.part(2 * patching.patch_size - patching.overlap)
    one_patch = subject.part(patching.patch_size)
    resumed = _resumed_run(ground)
    return [
        ("coverage", lambda: [check_coverage(subject)]),
        ("another grid", lambda: _on_another_grid(subject)),
        ("no data", lambda: [check_no_data(part)]),
        ("batch size", lambda: [check_batch_size(part)]),
        ("determinism", lambda: [check_determinism(part)]),
        ("resume", lambda: [check_resume(resumed, ground.ref, ground.ensemble, folder)]),
        ("tta", lambda: [check_views(subject)]),
        (
            "georeference",
            lambda: [check_georeference(subject.tile, patching, ground.run.parameters, folder)],
        ),
        ("precision", lambda: check_precisions(one_patch)),
    ]


def _on_another_grid(subject: Subject) -> list[Finding]:
    shifted = on_shifted_grid(subject)
    return [check_offset(shifted), check_seams(shifted)]


def _resumed_run(ground: _Ground) -> Resolved:
    """Return the run on a small part of the ground."""
    (top, left), given = ground.subject.corner(_RESUMED_PX), ground.window
    height, width = min(_RESUMED_PX, given.height), min(_RESUMED_PX, given.width)
    window = Window(given.top + top, given.left + left, height, width)
    return replace(ground.run, source=only_window(ground.run.source, window))


def _tracked(checks: Sequence[tuple[str, Callable[[], list[Finding]]]]) -> Iterator[Finding]:
    """Make all checks, and show on a terminal which one is at work."""
    from rich.progress import Progress

    with Progress(console=output_console(), transient=True, disable=is_plain()) as progress:
        task = progress.add_task("", total=len(checks))
        for name, check in checks:
            progress.update(task, description=name)
            for finding in check():
                logger.info("%s: %s, %s", finding.check, finding.status, finding.measured)
                yield finding
            progress.advance(task)


def _about(ground: _Ground) -> list[str]:
    """Return what is tried, in words."""
    subject, window, given = ground.subject, ground.window, ground.run.parameters
    (height, width), patching = ground.shape, subject.patching
    part = "all of it" if (window.height, window.width) == ground.shape else f"of {height} x {width} px"
    share = float(np.mean(subject.base > given.binarization_threshold))
    unsure = float(np.mean((subject.base > _UNSURE) & (subject.base < 1 - _UNSURE)))
    smaller = f" (one of {given.patch_px} px would cover it)" if patching.patch_size < given.patch_px else ""
    models = ", ".join(f"{name} {model_id[:ID_DIGITS]}" for name, model_id in ground.ensemble.model_ids.items())
    return [
        f"Models: {models}, on {device_name(ground.ensemble.device)} in {subject.precision}",
        f"Scene: {ground.ref.tile_id}, rows {window.top} to {window.rows.stop}, columns {window.left} to"
        f" {window.columns.stop}, {part}",
        f"Ground: {subject.valid.mean():.1%} valid, {share:.2%} slump, {unsure:.2%} between 5 and 95 percent",
        f"Patches: {patching.patch_size} px, overlap {patching.overlap} px{smaller}, views {given.tta}",
    ]


def _verdict(findings: Sequence[Finding]) -> str:
    """Return in one line how the checks ended."""
    named = {status: [one.check for one in findings if one.status == status] for status in ("failed", "skipped")}
    n_passed = sum(one.status == "passed" for one in findings)
    skipped = f", skipped: {', '.join(named['skipped'])}" if named["skipped"] else ""
    failed = f"failed: {', '.join(named['failed'])}; " if named["failed"] else ""
    return f"{failed}{n_passed} checks passed{skipped}"


def _as_json(ground: _Ground, findings: Sequence[Finding]) -> dict[str, Any]:
    patching = ground.subject.patching
    return {
        "darts": darts.__version__,
        "models": dict(ground.ensemble.model_ids),
        "device": device_name(ground.ensemble.device),
        "precision": str(ground.subject.precision),
        "scene": ground.ref.tile_id,
        "window": ground.window.as_list,
        "patching": asdict(patching),
        "tta": ground.run.parameters.tta,
        "checks": [asdict(finding) for finding in findings],
    }
