"""Folders of tiles as runs leave them, made of given outlines."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts_utils.objects.geodesy import ground_areas_m2

MODELS = "coast " + "ab" * 32
UTM = "EPSG:32608"
WHERE = (500_000.0, 7_700_000.0)
"""A place in the zone, some 69 N, in whole pixels of 10 m."""


def box(x0, y0, x1, y1, where=WHERE):
    """Return a rectangle in metres from a place."""
    return shapely.box(where[0] + x0, where[1] + y0, where[0] + x1, where[1] + y1)


def write_tile(
    folder,
    image_id,
    day,
    shapes,
    *,
    observed=None,
    extent=None,
    crs=UTM,
    models=MODELS,
    px=10.0,
    density=None,
    **columns,
):
    """Write the tables and the record of a tile; its extent is 20 x 20 km around the place if not given.

    `density`: rows of `prediction_density.parquet`, which is not there without.
    """
    folder = folder / image_id
    folder.mkdir(parents=True)
    extent = box(-10_000, -10_000, 10_000, 10_000) if extent is None else extent
    areas = ground_areas_m2(shapes, crs) if shapes else np.empty(0)
    table = gpd.GeoDataFrame(
        {
            "Region_ID": np.arange(1, len(shapes) + 1, dtype=np.int32),
            "max": np.full(len(shapes), 97.0),
            "mean": np.full(len(shapes), 80.0),
            "npixel": np.rint(shapely.area(shapes) / px**2).astype(np.int64) if shapes else np.empty(0, np.int64),
            "cut": np.zeros(len(shapes), dtype=bool),
            "area_m2": areas,
            "features_missing": np.zeros(len(shapes)),
            **{
                f"area_m2_t{percent}": areas * share for percent, share in ((30, 1.2), (45, 1.05), (65, 0.9), (80, 0.7))
            },
            "core_probability": np.full(len(shapes), 0.9),
            **{f"{name}_fraction": np.zeros(len(shapes)) for name in ("nodata", "snow", "water")},
            **columns,
        },
        geometry=list(shapes),
        crs=crs,
    )
    table.to_parquet(folder / "prediction_segments.parquet")
    for name, ground in (("observed", extent if observed is None else observed), ("extent", extent)):
        gpd.GeoDataFrame({"Region_ID": [1]}, geometry=[ground], crs=crs).to_parquet(
            folder / f"prediction_{name}.parquet"
        )
    if density is not None:
        sums = pd.DataFrame(density, columns=["x", "y", "observed_m2", "expected_m2"])
        sums.astype({"x": "int32", "y": "int32"}).to_parquet(folder / "prediction_density.parquet")
    record = {
        "DARTS_tile_id": image_id, "acquired": day, "sensor": "sentinel2", "DARTS_models": models,
        "DARTS_calibrated": True,
        "DARTS_binarization_threshold": 0.5, "DARTS_thresholds": {"low": 0.3, "medium": 0.5, "high": 0.95},
    }  # fmt: skip
    (folder / "darts_inference.json").write_text(json.dumps(record))
    return folder
