"""The data dictionary: files, bands and columns, as far as the code knows them by itself."""

from pathlib import Path

from darts_export.products import DEFAULT_BANDS, PRODUCTS
from darts_utils.bands import BandCodec, manager

MEANINGS = {
    "red": "surface reflectance, red",
    "green": "surface reflectance, green",
    "blue": "surface reflectance, blue",
    "nir": "surface reflectance, near infrared",
    "ndvi": "normalised difference vegetation index",
    "ndwi": "normalised difference water index",
    "gndvi": "green normalised difference vegetation index",
    "savi": "soil adjusted vegetation index",
    "evi": "enhanced vegetation index, clipped to -1 to 1",
    "vari": "visible atmospherically resistant index, clipped to -1 to 1",
    "tgi": "triangular greenness index, nanometres, clipped to -30 to 30",
    "relative_elevation": "elevation minus the mean of the disk around it, metres",
    "slope": "degrees, 0 is flat",
    "aspect": "direction of the slope, degrees clockwise from true north; -1 in memory is flat, 0 on disk",
    "hillshade": "light of the sun of the image on the slope, 1 is full",
    "curvature": "positive is convex",
    "terrain_ruggedness_index": "how far the eight neighbours differ in height, metres",
    "vector_ruggedness_measure": "how far directions of the ground differ in 3 x 3 pixels, 0 is a plane",
    "dissection_index": "0 the lowest ground around, 1 the highest",
    "tc_brightness": "twenty-year Landsat trend of brightness; 0 in all three trends is none",
    "tc_greenness": "twenty-year Landsat trend of greenness",
    "tc_wetness": "twenty-year Landsat trend of wetness",
    "dem": "elevation, metres",
    "quality_data_mask": "0 invalid, 1 low quality, 2 high quality",
    "s2_scl": "scene classification of Sentinel-2, its classes 0 to 11",
    "observations": "of mosaics: how many clear looks a pixel is made of",
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
    """Return the page, in Markdown: its text with the tables of files and bands."""
    text = Path(__file__).with_name("data-dictionary.md").read_text(encoding="utf-8")
    files = "\n".join(file_row(name) for name in PRODUCTS)
    return text.replace("FILES", files).replace("BANDS", "\n".join(band_row(name) for name in manager))


def file_row(name: str) -> str:
    """Return the row of a product."""
    product = PRODUCTS[name]
    files = " ".join(f"`{product.stem}{suffix}`" for suffix in product.suffixes)
    made_from = " ".join(f"`{variable}`" for variable in product.variables)
    return f"| `{name}` | {files} | {made_from} | {'yes' if name in (*DEFAULT_BANDS, 'metadata') else ''} |"


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
