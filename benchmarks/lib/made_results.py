"""Results folders of many scenes that nobody mapped: as runs leave them, for what is measured over many."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import shapely

from darts.pipelines.results.journal import Journal
from darts.pipelines.results.progress import FILE, Progress
from darts.pipelines.results.records import write_failed
from darts.pipelines.tiles import Outcome, Result, RunReport, StageTime, TileRef, failed
from darts_utils.errors import DataError

CRS = "EPSG:32610"
_EDGE_M, _ACROSS = 20_000.0, 20
_FAILS_EACH = 25
_STAGES = ("optical", "arcticdem", "tcvis", "preprocess", "segment", "postprocess", "export")


def make_results(folder: Path, n_scenes: int, n_slumps: int = 40, seed: int = 7) -> Path:
    """Write a results folder: a folder a scene, and the record of the run; every 25th scene failed.

    Args:
        folder: The results folder.
        n_scenes: How many scenes.
        n_slumps: How many slumps each has on average.
        seed: Of what they look like.
    """
    rng = np.random.default_rng(seed)
    journal = Journal(folder, {"darts": {"binarization_threshold": 0.5, "scene_id_file": "scenes.txt"}})
    with Progress(journal.path(FILE), n_selected=n_scenes, n_skipped=0) as progress:
        outcomes = [_ended(folder, number, rng, n_slumps) for number in range(n_scenes)]
        progress.finish(RunReport(tuple(outcomes), folder))
    journal.add(*outcomes)
    write_failed(journal.folder)
    return folder


def _ended(folder: Path, number: int, rng: np.random.Generator, n_slumps: int) -> Outcome:
    day = datetime(2024, 7, 1, tzinfo=UTC) + timedelta(days=number % 60)
    scene_id = f"S2B_MSIL2A_{day:%Y%m%d}T200909_N0510_R128_T10XDJ_{number:05d}"
    ref = TileRef(tile_id=scene_id, output_folder=Path(scene_id))
    begin = 1_760_000_000.0 + 12 * number
    edges = begin + np.cumsum([0, *rng.uniform(0.5, 8, len(_STAGES))])
    times = [StageTime(name, float(a), float(b)) for name, a, b in zip(_STAGES, edges, edges[1:], strict=False)]
    if number % _FAILS_EACH == _FAILS_EACH - 1:
        return failed(ref, "optical", DataError(f"{scene_id}: B04_10m cannot be decoded"), times[:1])
    return _mapped(folder, ref, number, day, rng, n_slumps, times)


def _mapped(  # noqa: PLR0917  (what a scene is made of)
    folder: Path,
    ref: TileRef,
    number: int,
    day: datetime,
    rng: np.random.Generator,
    n_slumps: int,
    times: list[StageTime],
) -> Outcome:
    out = folder / ref.output_folder
    out.mkdir(parents=True)
    left, bottom = 400_000 + _EDGE_M * (number % _ACROSS), 7_900_000 + _EDGE_M * (number // _ACROSS)
    ground = shapely.box(left, bottom, left + 0.95 * _EDGE_M, bottom + 0.95 * _EDGE_M)
    slumps = [_slump(rng, left, bottom) for _ in range(int(rng.poisson(n_slumps)))]
    said = {"acquired": f"{day:%Y-%m-%d}", "sensor": "sentinel2", "image_id": ref.tile_id}
    areas = shapely.area(np.array(slumps, dtype=object)) if slumps else np.array([])
    columns = {"mean": rng.uniform(50, 99, len(slumps)), "area_m2": areas, "cut": [False] * len(slumps), **said}
    gpd.GeoDataFrame(columns, index=range(len(slumps)), geometry=slumps, crs=CRS).to_parquet(
        out / "prediction_segments.parquet"
    )
    gpd.GeoDataFrame({"area_m2": [ground.area], **said}, geometry=[ground], crs=CRS).to_parquet(
        out / "prediction_extent.parquet"
    )
    pixels = rng.integers(60, 160, (48, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(out / "thumbnail.jpg"), cv2.resize(pixels, (640, 480)))
    record = {
        **said, "DARTS_tile_id": ref.tile_id, "n_objects": len(slumps), "area_m2": float(areas.sum()),
        "observed_km2": ground.area / 1e6, "clear_km2": 0.8 * ground.area / 1e6, "cloudy_km2": 0.2 * ground.area / 1e6,
        "features_missing": 0.0, "DARTS_models": "made 0123abcd", "DARTS_software": {"darts": "0"},
    }  # fmt: skip
    (out / "darts_inference.json").write_text(json.dumps(record))
    result = Result(n_objects=len(slumps), area_m2=float(areas.sum()), fingerprint="made")
    return Outcome(ref=ref, status="success", times=tuple(times), result=result)


def _slump(rng: np.random.Generator, left: float, bottom: float) -> shapely.Polygon:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radii = rng.uniform(20, 120) * rng.uniform(0.7, 1.3, angles.size)
    x, y = rng.uniform(0.05, 0.9, 2) * _EDGE_M
    return shapely.Polygon(np.column_stack([left + x + radii * np.cos(angles), bottom + y + radii * np.sin(angles)]))
