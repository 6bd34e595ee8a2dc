"""Checks of formats: whether the libraries that are installed read and write what runs read and write."""

from collections.abc import Iterator

from darts.environment.check import Check, fails, ok

_RASTERS = {"JP2OpenJPEG": "scenes of the Copernicus Data Space", "COG": "scenes of Earth Search", "GTiff": "results"}
_VECTORS = {"GPKG": "areas and results", "GeoJSON": "areas"}


def format_checks() -> Iterator[Check]:
    """Yield the checks."""
    import pyogrio
    from rasterio.env import Env

    with Env() as env:
        rasters = set(env.drivers())
    vectors = set(pyogrio.list_drivers())
    yield from (_driver(name, use, rasters, "rasterio") for name, use in _RASTERS.items())
    yield from (_driver(name, use, vectors, "pyogrio") for name, use in _VECTORS.items())
    yield _parquet()


def _driver(name: str, use: str, known: set[str], library: str) -> Check:
    what = f"format {name}"
    if name in known:
        return ok(what, f"GDAL of {library} has it, for {use}")
    advice = f"Install {library} from its wheel, whose GDAL has it."
    return fails(what, f"GDAL of {library} lacks it, which {use} need", advice)


def _parquet() -> Check:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        return fails("format Parquet", "pyarrow lacks it, which inventories need", "Install pyarrow from its wheel.")
    return ok("format Parquet", f"{parquet.__name__} has it, for inventories")
