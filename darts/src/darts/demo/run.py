"""`darts demo`: make a sample world, map it with the real pipeline, compare with the truth."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from darts.demo.compare import Score, compare_with_truth, write_scores
from darts.demo.labels import AnnotatedImage, planet_images, sentinel2_image, write_labels
from darts.demo.over_years import demo_over_years
from darts.demo.world.make import World, make_world
from darts.demo.world.planet import write_planet_world
from darts.demo.world.write import write_world
from darts.pipelines.base import Pipeline
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.tiles import RunReport
from darts.utils.console import show_rows
from darts.utils.terminal import say, short_path
from darts_utils.errors import ConfigError
from darts_utils.paths import DefaultPaths, user_path


@dataclass(frozen=True, kw_only=True)
class _Written:
    """A world on disk, and how it is mapped."""

    pipeline: Pipeline
    image_ids: tuple[str, ...]
    """The images to compare with the truth."""
    truth: Path
    by_hand: str
    """The command that maps it, without the folders."""
    create_dataset: str
    """The command that makes training data of it, without the labels."""
    annotated: tuple[AnnotatedImage, ...]
    """The images that slumps are drawn on."""


@dataclass(frozen=True, kw_only=True)
class _Sensor:
    """How a world is written as the data of a sensor."""

    contents: str
    """What is written."""
    size_px: int
    """Edge of a world if none is given, in pixels of 10 m."""
    write: Callable[[World, Path, list[Path] | None], _Written]
    """Takes the world, the folder, and models to map with, None for the demo's own."""


def _as_sentinel2(world: World, folder: Path, models: list[Path] | None) -> _Written:
    written = write_world(world, folder)
    paths = DefaultPaths(fast_dir=folder, large_dir=folder)
    home = short_path(folder)
    return _Written(
        pipeline=Sentinel2Pipeline(
            scene_ids=[written.scene_id], default_dirs=paths, offline=True, overwrite=True, model_files=models
        ),
        image_ids=(written.scene_id,),
        truth=written.truth,
        by_hand=f"darts inference sentinel2-sequential --offline --workdir {home} "
        f"--scene-ids {written.scene_id}{_named(models)}",
        create_dataset=f"darts training create-dataset sentinel2 --offline --workdir {home} "
        "--patch-size 128 --no-exclude-nan",
        annotated=tuple(sentinel2_image(world)),
    )


def _as_planet(world: World, folder: Path, models: list[Path] | None) -> _Written:
    written = write_planet_world(world, folder)
    paths = DefaultPaths(fast_dir=folder, large_dir=folder, models_dir=written.models_dir)
    home, ids = short_path(folder), (written.orthotile.name, written.scene.name)
    return _Written(
        pipeline=PlanetPipeline(
            image_ids=list(ids), default_dirs=paths, offline=True, overwrite=True, model_files=models
        ),
        image_ids=ids,
        truth=written.truth,
        by_hand=f"darts inference planet-sequential --offline --workdir {home} "
        f"--models-dir {short_path(written.models_dir)} --image-ids {' '.join(ids)}{_named(models)}",
        create_dataset=f"darts training create-dataset planet --offline --workdir {home} "
        f"--data-dir {home}/input/planet --patch-size 256 --no-exclude-nan",
        annotated=tuple(planet_images(world)),
    )


_SENSORS = {
    "sentinel2": _Sensor(
        contents="a Sentinel-2 scene, ArcticDEM and trend datacubes, two models", size_px=1024, write=_as_sentinel2
    ),
    "planet": _Sensor(
        contents="a Planet orthotile and scene, ArcticDEM at 2 m and trend datacubes, two models",
        size_px=512,
        write=_as_planet,
    ),
}


def demo(
    *,
    seed: int = 7,
    size: int | None = None,
    folder: Path = Path("darts-demo"),
    sensor: Literal["sentinel2", "planet"] = "sentinel2",
    write_labels: bool = False,
    map_it: Annotated[bool, Parameter(name="--map")] = True,
    model_files: list[Path] | None = None,
    n_years: int | None = None,
    one_trend: bool = False,
) -> RunReport | None:
    """Map slumps in a made-up stretch of Arctic coast and compare them with the truth; needs no account.

    Args:
        seed: Which world to make; the models have seen none of those below 1000.
        size: Edge of the world in pixels of 10 m; if not given, 1024, and 512 for Planet, whose pixels are finer.
        folder: Where the world and the results go; further worlds are added to what is there.
        sensor: What the world is written as.
        write_labels: Also write label and footprint layers, to make training data.
        map_it: Map the world and compare; without it, it is only written.
        model_files: Models to map with instead of the demo's own.
        n_years: Over how many years, the last of which is 2024: slumps appear, grow, merge, split and end, and three to
            six Sentinel-2 scenes a year show a part of it; size is 2000 if not given. Each year is a data folder.
        one_trend: Give all years the same trends, the mean of them, instead of those up to each year. The demo's models
            then see slumps where and as large as the trends have them: fewer new ones, and half of the growth.

    Raises:
        ConfigError: If seed, size or years are out of range, or several are asked for of Planet or with labels.
        OutputError: If the folder cannot be written to.
    """
    kind, folder = _SENSORS[sensor], user_path(folder)
    if n_years is not None:
        if sensor != "sentinel2" or write_labels:
            raise ConfigError(
                "worlds over years are Sentinel-2 scenes without labels. Leave out --n-years, or the others."
            )
        models = None if model_files is None else [user_path(file) for file in model_files]
        return demo_over_years(
            seed=seed, n_years=n_years, size=size, folder=folder, map_it=map_it, model_files=models, one_trend=one_trend
        )
    size = kind.size_px if size is None else size
    say(f"Making the world of seed {seed}, {size / 100:g} x {size / 100:g} km, in {folder}")
    start = time.monotonic()
    world = make_world(seed, size)
    written = kind.write(world, folder, None if model_files is None else [user_path(file) for file in model_files])
    say(f"Made in {time.monotonic() - start:.1f} s: {kind.contents}")
    report = _map(written) if map_it else None
    if not map_it:
        say(f"\nTo map it:\n  {written.by_hand}")
    if write_labels:
        _write_labels(world, folder, written)
    return report


def _map(written: _Written) -> RunReport:
    """Map a world, and show how the map compares with the truth."""
    report = written.pipeline.run()
    if report.exit_code == 0:
        results = {outcome.ref.tile_id: report.folder / outcome.ref.output_folder for outcome in report.outcomes}
        scores = {image_id: compare_with_truth(results[image_id], written.truth) for image_id in written.image_ids}
        for image_id, score in scores.items():
            _show_score(image_id, score, alone=len(results) == 1)
            write_scores(_scores_file(written, image_id), asdict(score))
        _show_where(written, report, [results[image_id] for image_id in written.image_ids])
    return report


def _write_labels(world: World, folder: Path, written: _Written) -> None:
    """Write label layers, and say how training data is made with them."""
    layers = write_labels(world, folder, written.annotated)
    say(f"\nLabels: {short_path(layers.labels)}")
    say("Training data with them (repeat the demo with other seeds first: each is a district of its own):")
    say(f"  {written.create_dataset} --labels-dir {short_path(layers.labels_dir)}")


def _scores_file(written: _Written, image_id: str) -> Path:
    return written.truth.parent / f"{image_id}.scores.json"


def _show_score(image_id: str, score: Score, *, alone: bool) -> None:
    rows = [
        ("IoU of the pixels", f"{score.pixel_iou:.2f}"),
        ("slumps found", str(score.n_found)),
        ("slumps missed", str(score.n_missed)),
        ("false objects", str(score.n_false)),
        ("recall of slumps", f"{score.object_recall:.2f}"),
    ]
    title = "Compared with the truth" if alone else f"{image_id} compared with the truth"
    show_rows(title, ("what", "value"), rows)


def _show_where(written: _Written, report: RunReport, folders: list[Path]) -> None:
    """Say what to open, and how to do the same by hand."""
    say("\nOpen these:")
    say(f"  {short_path(report.folder / 'index.html')} (a page over all of it; darts.qgz beside it is for QGIS)")
    for results in folders:
        for path in (results / "thumbnail.jpg", results / "prediction_segments.gpkg", results / "probabilities.tif"):
            say(f"  {short_path(path)}")
    say(f"  {short_path(written.truth)} (the truth)")
    for image_id in written.image_ids:
        say(f"  {short_path(_scores_file(written, image_id))} (the figures above)")
    say("\nThe same mapping by hand:")
    say(f"  {written.by_hand}")


def _named(models: list[Path] | None) -> str:
    """Return how models are named in a command."""
    return "" if models is None else f" --model-files {' '.join(map(short_path, models))}"
