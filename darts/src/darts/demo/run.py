"""`darts demo`: make a sample world, map it with the real pipeline, compare with the truth."""

import os
import time
from pathlib import Path

from darts.demo.compare import Score, compare_with_truth
from darts.demo.world import make_world
from darts.demo.write import WrittenWorld, write_world
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.tiles import RunReport
from darts.utils.console import show_rows
from darts.utils.terminal import say
from darts_utils.paths import DefaultPaths


def demo(*, seed: int = 7, size: int = 1024, folder: Path = Path("darts-demo")) -> RunReport:
    """Map slumps in a made-up stretch of Arctic coast and compare them with the truth; needs no account.

    Args:
        seed: Which world to make; the models have seen none of those below 1000.
        size: Edge of the world in pixels of 10 m.
        folder: Where the world and the results go; further worlds are added to what is there.

    Raises:
        ConfigError: If seed or size are out of range.
        OutputError: If the folder cannot be written to.
    """
    say(f"Making the world of seed {seed}, {size / 100:g} x {size / 100:g} km, in {folder}")
    start = time.monotonic()
    written = write_world(make_world(seed, size), folder)
    say(f"Made in {time.monotonic() - start:.1f} s: a Sentinel-2 scene, ArcticDEM and trend datacubes, two models")
    report = _pipeline(written, folder).run()
    if report.exit_code == 0:
        results = report.folder / written.scene_id
        _show_score(compare_with_truth(results, written.truth))
        _show_where(written, results, folder)
    return report


def _pipeline(written: WrittenWorld, folder: Path) -> Sentinel2Pipeline:
    return Sentinel2Pipeline(
        scene_ids=[written.scene_id],
        default_dirs=DefaultPaths(fast_dir=folder, large_dir=folder),
        offline=True,
        overwrite=True,
    )


def _show_score(score: Score) -> None:
    rows = [
        ("IoU of the pixels", f"{score.pixel_iou:.2f}"),
        ("slumps found", str(score.n_found)),
        ("slumps missed", str(score.n_missed)),
        ("false objects", str(score.n_false)),
        ("recall of slumps", f"{score.object_recall:.2f}"),
    ]
    show_rows("Compared with the truth", ("what", "value"), rows)


def _show_where(written: WrittenWorld, results: Path, folder: Path) -> None:
    """Say what to open, and how to do the same by hand."""
    say("\nOpen these:")
    for path in (results / "thumbnail.jpg", results / "prediction_segments.gpkg", results / "probabilities.tif"):
        say(f"  {_short(path)}")
    say(f"  {_short(written.truth)} (the truth)")
    say("\nThe same mapping by hand:")
    home = _short(folder)
    say(
        f"  darts inference sentinel2-sequential --offline --fast-dir {home} --large-dir {home} "
        f"--scene-ids {written.scene_id}"
    )


def _short(path: Path) -> str:
    """Return a path from the working folder if it lies below, else the whole path."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
