"""How fast are finished folders looked at before a run, next to reading every record and every name as plainly?

`uv run python -m benchmarks finished`; `--size` is the number of folders, each with the default products.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.lib import baselines
from benchmarks.lib.results import Goal, Result
from benchmarks.lib.runner import Case, Trial, measured, run_case
from darts.pipelines.auxiliary import LAYERS, Request
from darts.pipelines.results.fingerprint import Recipe, fingerprint_of
from darts.pipelines.results.finished import DOCUMENT, Finished
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.tiles import TileRef
from darts_export.products import DEFAULT_BANDS, expected_files, missing_files
from darts_export.record import FILE, FINGERPRINT, write_record
from darts_utils.parameters import FLOAT32

MOST_FOLDERS = 10_000
BANDS = (*DEFAULT_BANDS, "metadata")
N_FILES = len(expected_files(BANDS))
RECIPE = Recipe(
    parameters={f"parameter {number}": number for number in range(16)},
    precision=FLOAT32,
    models={"with_tcvis": "a" * 64, "without_tcvis": "b" * 64},
    ensemble_card=None,
    layers=tuple(LAYERS.values()),
    request=Request(Sentinel2Pipeline().with_paths(), 10),
)


def results(case: Case) -> Iterator[Result]:
    """Yield the result."""
    number = MOST_FOLDERS if case.size is None else case.size
    folder = case.folder / f"finished-{number}"
    refs = [TileRef(tile_id=f"scene{index:05}", output_folder=Path(f"scene{index:05}")) for index in range(number)]
    _make(folder, refs)
    finished = Finished(
        folder=folder,
        lacking=partial(missing_files, bands=BANDS),
        recipe=lambda: RECIPE,
        source=SimpleNamespace(identity=_identity),  # type: ignore[arg-type]  # all that is asked of a source
    )
    trial = Trial(
        what=f"{number:,} finished folders",
        px=number,
        ours=lambda: [finished.state(ref).kind for ref in refs],
        baseline_name=baselines.RECORDS,
        baseline=lambda: baselines.whole_folders(
            [folder / ref.output_folder for ref in refs], len(expected_files(BANDS))
        ),
        agree=_agree,
        goal=Goal(seconds=10),
    )
    yield measured(case, trial)


def _identity(
    ref: TileRef,
    remembered: Mapping[str, Sequence[Any]] | None = None,  # noqa: ARG001  (the signature of a source)
) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"source": "cdse", "id": ref.tile_id, "processing_baseline": "05.10", "window": "whole"}, {}


def _make(folder: Path, refs: Sequence[TileRef]) -> None:
    """Make folders as a run leaves them, with small files, unless they are there."""
    if (folder / "made").exists():
        return
    for ref in refs:
        place = folder / ref.output_folder
        place.mkdir(parents=True, exist_ok=True)
        for name in expected_files(BANDS):
            (place / name).write_bytes(b"content")
        (place / FILE).unlink()
        document = RECIPE.document(ref, _identity(ref)[0])
        write_record(place, {FINGERPRINT: fingerprint_of(document), DOCUMENT: document, "n_objects": 7})
    (folder / "made").touch()


def _agree(ours: list[str], plain: list[bool]) -> None:
    assert [kind == "done" for kind in ours] == plain
    assert all(plain), json.dumps(ours[:3])


if __name__ == "__main__":
    run_case("finished", __doc__)
