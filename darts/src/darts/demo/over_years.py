"""`darts demo --n-years`: make a sample world over years, map it, and compare its inventory with the truth."""

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from darts.demo.compare import write_scores
from darts.demo.years.compare import MATCHED_AT, YearsScore, compare_years
from darts.demo.years.world import DEFAULT_SIZE_PX, make_world_over_years
from darts.demo.years.write import WrittenYears, write_world_over_years
from darts.inventory.making import make_inventory
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.tiles import RunReport
from darts.utils.console import show_rows, show_table
from darts.utils.terminal import say, short_path
from darts_postprocessing.inventory.said import INVENTORY
from darts_utils.paths import DefaultPaths


def demo_over_years(
    *,
    seed: int,
    n_years: int,
    size: int | None,
    folder: Path,
    map_it: bool,
    model_files: list[Path] | None,
    one_trend: bool,
) -> RunReport | None:
    """Write a world over years, and map it if that is asked for; see `darts.demo.run.demo`."""
    written = WrittenYears(folder)
    all_years = _write(written, seed=seed, n_years=n_years, size=size, one_trend=one_trend)
    report = _map(written, all_years, model_files) if map_it else None
    if report is None or report.exit_code == 0:
        _show_where(written)
    return report


def _write(written: WrittenYears, *, seed: int, n_years: int, size: int | None, one_trend: bool) -> Sequence[int]:
    """Write a world, and return its years; the world itself is freed."""
    folder, size = written.root, DEFAULT_SIZE_PX if size is None else size
    say(f"Making the world of seed {seed} over {n_years} years, {size / 100:g} x {size / 100:g} km, in {folder}")
    start = time.monotonic()
    world = make_world_over_years(seed, n_years, size)
    for year, images in groupby(
        write_world_over_years(world, folder, one_trend=one_trend), key=lambda image: image.year
    ):
        say(f"{year}: {sum(1 for _ in images)} Sentinel-2 scenes")
    say(f"Made in {time.monotonic() - start:.0f} s, with ArcticDEM, trends up to each year and two models")
    return world.years


def _map(written: WrittenYears, years: Sequence[int], models: list[Path] | None) -> RunReport:
    """Map all years, make one inventory, and show how it compares with the truth; return the report that is worst."""
    reports = []
    for year in years:
        reports.append(
            Sentinel2Pipeline(
                scene_id_file=written.scene_id_file(year),
                default_dirs=DefaultPaths(fast_dir=written.root, large_dir=written.data_dir(year)),
                offline=True,
                overwrite=True,
                inventory=False,
                model_files=models,
            ).run()
        )
        if reports[-1].exit_code:
            return reports[-1]
    inventory = written.root / INVENTORY
    make_inventory([report.folder for report in reports], inventory, None, None, workers=None, ray_address=None)
    score = compare_years(inventory, written)
    _show_score(score)
    write_scores(written.outlines.parent / "years.scores.json", score.document)
    return reports[-1]


def _show_score(score: YearsScore) -> None:
    rows = [
        (str(row.year), str(row.n_true), str(row.n_found), f"{row.recall:.2f}", str(row.n_false))
        for row in score.by_year.itertuples()
    ]
    columns = ("year", "true slumps", f"found (IoU {MATCHED_AT})", "recall", "false slumps")
    show_table("Compared with the truth", columns, rows)
    over_years = [
        ("slumps found in two years or more", str(len(score.ids))),
        ("of which keep their id", f"{score.ids_kept:.2f}"),
    ]
    if len(score.growth):  # of fewer than five years there are no intervals
        over_years += [
            ("intervals of growth", str(len(score.growth))),
            ("of which hold the true growth", f"{score.growth_held:.2f}"),
        ]
    show_rows("Over years", ("what", "value"), over_years)


def _show_where(written: WrittenYears) -> None:
    home = short_path(written.root)
    say(f"\nThe truth: {short_path(written.outlines)} by year; {short_path(written.tracks)}: what became of each")
    say("\nBy hand, for each YEAR, and then for all of them:")
    say(
        f"  darts inference sentinel2-sequential --offline --no-inventory --fast-dir {home} --large-dir {home}/YEAR "
        f"--scene-id-file {home}/YEAR/scenes.txt"
    )
    say(f"  darts inventory build {home}/20*/output/sentinel2-cdse --out {home}/{INVENTORY}")
