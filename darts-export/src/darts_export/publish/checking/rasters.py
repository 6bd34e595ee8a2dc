"""Rasters of a catalogue: readable, cloud-optimised, and on the grid that their item says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from pyproj import CRS
from pyproj.exceptions import ProjError
from rasterio.errors import RasterioError
from rio_cogeo.cogeo import cog_validate

from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.tree import Tree
from darts_export.publish.stac.extent import box_of
from darts_export.publish.stac.rasters import outline_of
from darts_utils.errors import one_line

_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF and BigTIFF begin: what begins otherwise may be a list of places on the network, whatever it is called."""
_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
"""Files beside a raster are not read: they may lead elsewhere, and others do not get them with it."""
_TRUE_TO = 1e-6
_AGAIN = "Write the raster again, or publish the catalogue again."


@dataclass(frozen=True)
class Told:
    """What is said of an asset, and where."""

    path: str
    """Of the item."""
    name: str
    asset: Mapping[str, Any]

    @property
    def media_type(self) -> str:
        """Its media type, nothing if it has none."""
        return str(self.asset.get("type") or "")

    @property
    def is_geotiff(self) -> bool:
        """Whether it is said to be a GeoTIFF."""
        return self.media_type.startswith("image/tiff") and "geotiff" in self.media_type

    @property
    def is_cog(self) -> bool:
        """Whether it is said to be cloud-optimised too."""
        return self.is_geotiff and "cloud-optimized" in self.media_type


def check_raster(tree: Tree, file: str, told: Told, findings: Findings) -> list[list[float]]:
    """Find what is wrong with a raster, and what its item says otherwise; return its box, none if it has no place.

    Only its header is read.
    """
    place = tree.place(file)
    with place.open("rb") as opened:
        if opened.read(4) not in _MAGICS:
            findings.add(file, "is no TIFF", _AGAIN)
            return []
    try:
        with rasterio.Env(**_ALONE), rasterio.open(place, driver="GTiff") as raster:
            _check_grid(told, raster, findings)
            boxes = [box_of(outline_of(raster.bounds, raster.crs.to_wkt()))] if raster.crs is not None else []
        if told.is_cog:
            _check_cog(file, str(place), findings)
    except RasterioError as error:
        findings.add(file, f"cannot be read: {one_line(error)}", _AGAIN)
        return []
    return boxes


def _check_cog(file: str, place: str, findings: Findings) -> None:
    is_valid, errors, _ = cog_validate(place, quiet=True, config=_ALONE)
    if not is_valid:
        said = "; ".join(errors) or "no reason is given"
        findings.add(file, f"is no valid cloud-optimised GeoTIFF: {said}", "Write it with GDAL's driver COG.")


def _check_grid(told: Told, raster: Any, findings: Findings) -> None:
    """Compare the grid of a raster with what its item says of it."""
    seen = {
        "proj:shape": list(raster.shape),
        "proj:transform": list(raster.transform[:6]),
        "proj:bbox": list(raster.bounds),
    }
    for key, value in seen.items():
        said = told.asset.get(key)
        if said is not None and not _same(said, value):
            findings.add(told.path, f"says {key} {said} of {told.name}, but it is {value}", _AGAIN)
    code = told.asset.get("proj:code")
    if code is not None and (raster.crs is None or not _is_crs(code, raster.crs.to_wkt())):
        crs = "none" if raster.crs is None else raster.crs.to_string()
        findings.add(told.path, f"says proj:code {code} of {told.name}, but its CRS is {crs}", _AGAIN)
    if len(told.asset.get("bands") or [0] * raster.count) != raster.count:
        findings.add(told.path, f"tells of other bands of {told.name} than its {raster.count}", _AGAIN)


def _same(said: Any, value: Sequence[float]) -> bool:
    try:
        numbers = np.asarray(said, dtype=np.float64)[: len(value)]
    except (ValueError, TypeError):
        return False
    return numbers.shape == (len(value),) and np.allclose(numbers, value, rtol=_TRUE_TO, atol=_TRUE_TO)


def _is_crs(code: str, wkt: str) -> bool:
    try:
        return CRS.from_user_input(code).equals(CRS.from_wkt(wkt), ignore_axis_order=True)
    except ProjError:
        return False
