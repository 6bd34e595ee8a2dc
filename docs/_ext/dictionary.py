"""The data dictionary: files, bands and columns, as far as the code knows them by itself."""

from darts_export.products import DEFAULT_BANDS, PRODUCTS
from darts_utils.bands import BandCodec, manager

MEANINGS = {
    "red": "surface reflectance, red",
    "green": "surface reflectance, green",
    "blue": "surface reflectance, blue",
    "nir": "surface reflectance, near infrared",
    "ndvi": "normalised difference vegetation index",
    "ndwi": "normalised difference water index",
    "relative_elevation": "elevation minus the mean of the disk around it, metres",
    "slope": "degrees, 0 is flat",
    "aspect": "direction of the slope, degrees clockwise from true north; -1 in memory is flat, 0 on disk",
    "hillshade": "light of the sun of the image on the slope, 1 is full",
    "curvature": "positive is convex",
    "tc_brightness": "twenty-year Landsat trend of brightness; 0 in all three trends is none",
    "tc_greenness": "twenty-year Landsat trend of greenness",
    "tc_wetness": "twenty-year Landsat trend of wetness",
    "dem": "elevation, metres",
    "quality_data_mask": "0 invalid, 1 low quality, 2 high quality",
    "s2_scl": "scene classification of Sentinel-2, its classes 0 to 11",
    "planet_udm": "usable data mask of Planet, its eight bands",
    "arcticdem_data_mask": "1 where the elevation has data",
    "probabilities": "probability of slump; percent in rasters",
    "probabilities-*": "the same of one model",
    "uncertainty": "how far models and views differ; percent from 0 to 50 in rasters",
    "binarized_segmentation": "1 is slump",
    "binarized_segmentation-*": "the same of one model",
    "cut_segmentation": "1 is a slump that the extent or the image cuts",
    "cut_segmentation-*": "the same of one model",
    "extent": "1 is ground that the map speaks for",
    "features_missing": "1 where a band that a model reads is missing",
    "features_missing-*": "the same of one model",
}
"""What each band is, with its unit; one that is not here makes no page."""


def page() -> str:
    """Return the page, in Markdown."""
    lines = [
        "# Data dictionary",
        "",
        "Files, bands and columns that DARTS writes. The tables of files and bands are made from the code by `docs/generate.py`.",
        "",
        "## Files of a tile",
        "",
        "What they are for, in words: [outputs](../guides/outputs.md).",
        "",
        "| `--export-bands` | files | made from | by default |",
        "|---|---|---|---|",
    ]
    for name, product in PRODUCTS.items():
        files = " ".join(f"`{product.stem}{suffix}`" for suffix in product.suffixes)
        made_from = " ".join(f"`{variable}`" for variable in product.variables)
        lines.append(f"| `{name}` | {files} | {made_from} | {'yes' if name in (*DEFAULT_BANDS, 'metadata') else ''} |")
    lines += [
        "| the name of a band | `{band}.tif` | the band | |",
        "",
        "With `polygonized` come `observed` and `density`. Of products that each model of an ensemble has too (`--write-model-outputs`) the file is called",
        "`{stem}-{model}`.",
        "",
        "## Bands",
        "",
        "On disk, in rasters and stores: `value = number * scale + offset`, which GDAL and QGIS apply by themselves. Numbers of probabilities and",
        "uncertainty are percent as they stand. `range` is what networks see as 0 to 1.",
        "",
        "| band | on disk | scale | offset | no data | range | meaning |",
        "|---|---|---|---|---|---|---|",
        *(band_row(name) for name in manager),
        "",
        *COLUMNS,
    ]
    return "\n".join(lines) + "\n"


def band_row(name: str) -> str:
    """Return the row of a band."""
    codec: BandCodec = manager[name.replace("*", "model")]
    scale = "" if codec.scale is None or name.startswith(("probabilities", "uncertainty")) else f"{codec.scale:g}"
    offset = f"{codec.offset:g}" if scale else ""
    nodata = "" if codec.fill_value is None else str(codec.fill_value)
    low, high = codec.valid_range
    dtype = "uint8" if codec.disk_dtype == "bool" else codec.disk_dtype
    shown = name.replace("*", "{model}")
    return f"| `{shown}` | {dtype} | {scale} | {offset} | {nodata} | {low:g} to {high:g} | {MEANINGS[name]} |"


COLUMNS = """## Columns of a tile

| file | a row is | columns |
|---|---|---|
| `prediction_segments` | an object | [objects](../science/objects.md): each with type, unit and meaning |
| `prediction_extent`, `prediction_observed` | an outline | `Region_ID` (a number), `area_m2` (geodesic, m2), `image_id`, `sensor`, `acquired` (the day), `geometry` |
| `prediction_density` | a cell of 1 km in EPSG:6931 | `x` `y` (number of the cell: its left and lower edge in kilometres), `observed_m2` (m2 that were seen), `expected_m2` (m2 of slump that are expected; NaN where not calibrated) |

GeoParquet files have `bbox` beside `geometry`: the bounds of the row (`xmin` `ymin` `xmax` `ymax`), by which readers skip what lies elsewhere.

## Columns of an inventory

| folder | a row is | columns |
|---|---|---|
| `objects/` | an object of one image | [inventory](../guides/inventory.md#what-is-in-it) |
| `looks/` | an image | the same page |
| `slumps/` | a slump and year | the same page |
| `tracks/` | a slump over all years | the same page |
| `changes/` | a slump, pair of years and kind | the same page |

## Records

| file | what |
|---|---|
| `darts_inference.json`, `{time}.config.toml`, `{time}.results.parquet`, `{time}.timer.parquet`, `{time}.stopwatch.parquet` | [the record of a run](run-record.md) |
| `metadata.parquet` of a training set | [training data](../guides/training-data.md#what-is-made) |
| the card of a model | [the model file](model-file.md) |""".splitlines()
