"""Rasters of a catalogue: readable, cloud-optimised, and on the grid that their item says."""

import math
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
from darts_export.publish.checking.own import check_own_raster
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

    Only its header is read, and of a catalogue of this program its pixels, too.
    """
    place = tree.place(file)
    with place.open("rb") as opened:
        if opened.read(4) not in _MAGICS:
            findings.add(file, "is no TIFF", _AGAIN)
            return []
    try:
        with rasterio.Env(**_ALONE), rasterio.open(place, driver="GTiff") as raster:
            _check_grid(told, raster, findings)
            _check_values(told, raster, findings)
            if tree.is_ours:
                for fault in check_own_raster(tree, file, told.asset, raster, told.name):
                    findings.add(told.path, fault, _AGAIN)
            boxes = [box_of(outline_of(raster.bounds, raster.crs.to_wkt()))] if raster.crs is not None else []
        if told.is_cog:
            _check_cog(file, str(place), findings, strict=tree.is_ours)
    except RasterioError as error:
        findings.add(file, f"cannot be read: {one_line(error)}", _AGAIN)
        return []
    return boxes


def _check_cog(file: str, place: str, findings: Findings, *, strict: bool) -> None:
    """Find why a raster is no cloud-optimised one; one of ours has all that such rasters should have, too."""
    is_valid, errors, warnings = cog_validate(place, strict=strict, quiet=True, config=_ALONE)
    if not is_valid:
        said = "; ".join([*errors, *(warnings if strict else ())]) or "no reason is given"
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


def _check_values(told: Told, raster: Any, findings: Findings) -> None:
    """Compare kind of values and no data with what an item says of them, for the asset or for its bands."""
    bands = [one for one in told.asset.get("bands") or () if isinstance(one, Mapping)]
    for place in (told.asset, *bands):
        nodata, kind = place.get("nodata"), place.get("data_type")
        if nodata is not None and raster.nodata is not None and not _is_number(nodata, raster.nodata):
            findings.add(told.path, f"says nodata {nodata!r} of {told.name}, but it is {raster.nodata:g}", _AGAIN)
        if kind is not None and kind not in ("other", *raster.dtypes):
            findings.add(told.path, f"says data_type {kind!r} of {told.name}, but it is {raster.dtypes[0]!r}", _AGAIN)


def _is_number(said: Any, value: float) -> bool:
    """Return whether a number of JSON, or `nan`, `inf` and `-inf` as text, is a value."""
    try:
        number = float(said)
    except (ValueError, TypeError, OverflowError):
        return False
    return number == value or (math.isnan(number) and math.isnan(value))


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
