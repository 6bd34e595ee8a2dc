"""How much is gained by loading the next tile and exporting the last one beside the present one?

`uv run python -m benchmarks overlap`: four scenes through the lanes of the executor, next to the same stages one after
the other; with networks that do nothing, and with one network, whose scenes are smaller.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.lib import baselines
from benchmarks.lib.networks import ensemble_without_network, untrained_ensemble
from benchmarks.lib.results import Result
from benchmarks.lib.runner import Case, Trial, measured, run_case
from benchmarks.lib.scene import SCENE_ID, made_scene, scene_store
from benchmarks.mapping import scene_pipeline

if TYPE_CHECKING:
    from darts.pipelines.stages import Stage
    from darts.pipelines.tiles import TileRef
    from darts_segmentation import EnsembleV1

SIZE_PX = 2048
N_TILES = 4


def results(case: Case) -> Iterator[Result]:
    """Yield a result without and one with a network."""
    size = SIZE_PX if case.size is None else case.size
    with tempfile.TemporaryDirectory() as folder:
        networks = untrained_ensemble(Path(folder), 1)
        yield measured(case, _trial(case, size, ensemble_without_network(), "without a network"))
        yield measured(case, _trial(case, size // 2, networks, "with a network"))


def _trial(case: Case, size: int, ensemble: "EnsembleV1", how: str) -> Trial:
    from darts.pipelines.computing.memory import memory_budget_bytes
    from darts.pipelines.local import SequentialExecutor
    from darts.pipelines.tiles import Work

    stages, refs, results = _stages_and_tiles(made_scene(case.folder, size), ensemble)

    def ours() -> set[Path]:
        executor = SequentialExecutor(stages, budget_bytes=memory_budget_bytes(None))
        return _made_by(results, lambda: list(executor.run(refs)))

    def baseline() -> set[Path]:
        return _made_by(results, lambda: baselines.one_after_the_other(stages, map(Work, refs)))

    return Trial(
        what=f"{len(refs)} scenes of {size} {how}",
        px=len(refs) * size**2,
        ours=ours,
        baseline_name=baselines.NO_OVERLAP,
        baseline=baseline,
        agree=_agree,
    )


def _stages_and_tiles(folder: Path, ensemble: "EnsembleV1") -> tuple[list["Stage"], list["TileRef"], Path]:
    """Return the stages of a run, some copies of the scene of a folder to send through them, and where results go."""
    from darts.pipelines.results.provenance import making_of
    from darts.pipelines.run import models_of, resolve
    from darts.pipelines.stages import build_stages

    scene_ids = _copies(folder)
    run = resolve(scene_pipeline(folder, scene_ids=scene_ids))
    making = making_of(run.parameters, models_of(ensemble), run.source.resolution_m)
    stages = build_stages(
        run.parameters, run.source, ensemble, features=run.features, making=making, results=run.results
    )
    return stages, run.source.find(), run.results


def _copies(folder: Path) -> list[str]:
    """Return the ids of some scenes that are all alike."""
    store, scene_ids = scene_store(folder), [SCENE_ID]
    for day in range(1, N_TILES):
        scene_ids.append(SCENE_ID.replace("20240720", f"202408{day:02}"))
        shutil.copytree(store.path(SCENE_ID), store.path(scene_ids[-1]), dirs_exist_ok=True)
    return scene_ids


def _made_by(results: Path, work: Any) -> set[Path]:
    """Return the files of all tiles that some work has written."""
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    work()
    return {path.relative_to(results) for path in results.rglob("*") if path.is_file()}


def _agree(ours: set[Path], plain: set[Path]) -> None:
    assert ours == plain, f"only one of both wrote {ours ^ plain}"
    assert len({path.parts[0] for path in ours}) == N_TILES, "some tiles were not made"


if __name__ == "__main__":
    run_case("overlap", __doc__)
