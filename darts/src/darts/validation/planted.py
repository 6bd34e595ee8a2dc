"""Whether a slump that lies at a known place is exported at that place."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import torch
import xarray as xr
from shapely import Polygon
from torch import nn

from darts.pipelines.parameters import PostprocessingParameters
from darts_export import export_tile
from darts_postprocessing import prepare_export
from darts_segmentation.inference import predict
from darts_segmentation.network import Member
from darts_segmentation.patches import Patching
from darts_segmentation.validation.findings import Finding, Status, passed_if
from darts_utils.rasters.arrays import Array
from darts_utils.tile import geobox_of

LIMIT_PX = 0.5
_BAND, _GROUND, _SLUMP = "red", 0.05, 0.45
_LEAST_PX = 128
_EDGES_PX = (24, 40)
"""Rows and columns of the object: not square, and a quarter of it is missing, so that a turned one would be found."""


class PlantedNetwork(nn.Module):
    """A network that knows the answer: what is bright is a slump."""

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Return logits of -15 to 15 for the model representation of the planted band."""
        return (patches[:, :1] - 0.58) * 40


@dataclass(frozen=True, kw_only=True)
class Planted:
    """An object at a known place."""

    tile: xr.Dataset
    """On the grid of the scene: one band, bright where the object is."""
    outline: Polygon
    """In coordinates of the grid, worked out of its coordinates and not of its transform."""


def plant(tile: xr.Dataset) -> Planted:
    """Return ground with one object a little beside its middle, on the grid of a tile."""
    y, x = tile["y"].values, tile["x"].values
    height, width = _EDGES_PX
    top, left = len(y) // 2 - height // 3, len(x) // 2 - width // 3
    ground = np.full((len(y), len(x)), _GROUND, dtype=np.float32)
    ground[top : top + height, left : left + width] = _SLUMP
    ground[top : top + height // 2, left + width // 2 : left + width] = _GROUND
    bands = {_BAND: ground, "green": ground, "blue": ground, "nir": ground}
    layers = {name: (("y", "x"), values) for name, values in bands.items()}
    quality = {"quality_data_mask": (("y", "x"), np.full(ground.shape, 2, dtype=np.uint8))}
    coordinates = {name: tile.coords[name] for name in ("y", "x", "spatial_ref")}
    rows, columns = _edges(y)[top:], _edges(x)[left:]
    half = (height // 2, width // 2)
    corners = [
        (0, 0), (0, half[1]), (half[0], half[1]), (half[0], width), (height, width), (height, 0),
    ]  # fmt: skip
    outline = Polygon([(columns[column], rows[row]) for row, column in corners])
    return Planted(tile=xr.Dataset({**layers, **quality}, coords=coordinates, attrs=tile.attrs), outline=outline)


def check_georeference(
    tile: xr.Dataset, patching: Patching, postprocessing: PostprocessingParameters, folder: Path
) -> Finding:
    """Check that a planted object is exported where it was planted, in polygons and in the raster.

    Args:
        tile: A tile whose grid is used.
        patching: How it is cut.
        postprocessing: How probabilities become objects.
        folder: Where it is exported to.
    """
    if min(tile.sizes["y"], tile.sizes["x"]) < _LEAST_PX:
        reason = f"the ground is smaller than {_LEAST_PX} px, too near its edges for an object to be mapped"
        return _finding("skipped", reason)
    planted = plant(tile)
    member = Member(name="planted", model=PlantedNetwork().eval(), bands=(_BAND,))
    probabilities = predict(planted.tile, [member], patching, torch.device("cpu")).mean
    mapped = prepare_export(
        planted.tile.assign(probabilities=(("y", "x"), probabilities)),
        bin_threshold=postprocessing.binarization_threshold,
        mask_erosion_size=postprocessing.mask_erosion_size,
        min_object_size=postprocessing.min_object_size,
        quality_level=postprocessing.quality_level,  # type: ignore[arg-type]  # the parameters have checked the number
        edge_erosion_size=postprocessing.edge_erosion_size,
    )
    out = folder / "planted"
    export_tile(mapped, out, ["probabilities", "binarized", "polygonized"])
    return _compared(planted, out, abs(float(tile["x"].values[1] - tile["x"].values[0])))


def _compared(planted: Planted, folder: Path, pixel_m: float) -> Finding:
    """Return how far what was exported lies from what was planted."""
    crs = geobox_of(planted.tile).crs
    found = gpd.read_parquet(folder / "prediction_segments.parquet").to_crs(str(crs))
    away = {
        "polygon": _away_px(found, planted.outline, pixel_m),
        "raster": _raster_px(folder, planted.outline, pixel_m),
    }
    figures: dict[str, float | int | str] = {"n_objects": len(found), **{f"{k}_px": v for k, v in away.items()}}
    measured = (
        f"{len(found)} exported for 1 planted; its outline is {away['polygon']:.3f} px away, its mask"
        f" {away['raster']:.3f} px"
    )
    return _finding(passed_if(len(found) == 1 and max(away.values()) <= LIMIT_PX), measured, figures)


def _finding(status: Status, measured: str, figures: Mapping[str, float | int | str] | None = None) -> Finding:
    return Finding(
        check="georeference",
        status=status,
        measured=measured,
        limit=f"1 object, {LIMIT_PX:g} px",
        meaning="What is found is exported where it lies, in polygons and in rasters.",
        figures={} if figures is None else figures,
    )


def _away_px(found: gpd.GeoDataFrame, outline: Polygon, pixel_m: float) -> float:
    """Return the largest distance of the outlines, infinite if nothing was found."""
    if not len(found):
        return float("inf")
    return float(found.geometry.union_all().hausdorff_distance(outline)) / pixel_m


def _raster_px(folder: Path, outline: Polygon, pixel_m: float) -> float:
    """Return how far the middle of the slump in the mask, by the transform of the file, is from that of the outline."""
    with rasterio.open(folder / "binarized.tif") as raster:
        rows, columns = np.nonzero(raster.read(1) == 1)
        x, y = raster.transform * (columns + 0.5, rows + 0.5)
    if not rows.size:
        return float("inf")
    middle = outline.centroid
    return float(np.hypot(np.mean(x) - middle.x, np.mean(y) - middle.y)) / pixel_m


def _edges(centres: Array) -> Array:
    """Return the edges of pixels of which the centres are given, one more than those."""
    half = (centres[1] - centres[0]) / 2
    edges: Array = np.append(centres - half, centres[-1] + half)
    return edges
