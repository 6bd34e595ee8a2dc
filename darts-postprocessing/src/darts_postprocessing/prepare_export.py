"""The last step before export: trusted extent, masked probabilities, slump objects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from darts_postprocessing.binarize import Slumps, check_threshold, find_slumps
from darts_postprocessing.masks import check_sizes, cut_edges, erode_by_disk
from darts_utils.bands import model_suffixes
from darts_utils.errors import DataError
from darts_utils.machine.devices import DeviceSpec
from darts_utils.parameters import QualityLevel, quality_level_number
from darts_utils.rasters.arrays import Array
from darts_utils.rasters.row_blocks import row_blocks


def prepare_export(  # noqa: PLR0917  (the public signature)
    tile: xr.Dataset,
    bin_threshold: float = 0.5,
    mask_erosion_size: int = 10,
    min_object_size: int = 32,
    quality_level: QualityLevel = 0,
    ensemble_subsets: Sequence[str] = (),
    device: DeviceSpec = None,  # noqa: ARG001  (part of the public signature of every step)
    edge_erosion_size: int | None = None,
    *,
    drop_cut_objects: bool = False,
    in_place: bool = False,
) -> xr.Dataset:
    """Return the tile with its trusted extent and its slumps, and with probabilities only where they are trusted.

    Args:
        tile: Holds `probabilities` and `probabilities-{model}` of each subset, (y, x) float32 from 0 to 1, NaN where
            unknown, and `quality_data_mask`, (y, x) uint8, 0 invalid, 1 low, 2 high quality (above level 0 only); if
            wanted `uncertainty`, as `probabilities`.
        bin_threshold: Probability, from 0 to 1, that a slump must exceed.
        mask_erosion_size: Pixels by which valid ground shrinks around invalid ground, as a disk; not at level 0.
        min_object_size: Fewest pixels that a slump must have.
        quality_level: Lowest quality that counts as valid ground, as a number or a name; 0 or none takes all ground.
        ensemble_subsets: Names of models whose own results are prepared too.
        device: Accepted for all steps to be called alike; this one runs in host memory.
        edge_erosion_size: Rows and columns cut at each edge of the tile; None cuts as many as `mask_erosion_size`.
        drop_cut_objects: Whether objects that the extent or the edge of the tile cuts go whole; else they stay, with
            the part that is inside.
        in_place: Whether the arrays of probabilities may be changed, to save the memory of others as large; those that
            cannot be, such as of another process, are copied.

    Returns:
        A new tile with, all (y, x): `extent` bool; `probabilities` float32, NaN outside of the extent;
        `binarized_segmentation` bool, True = slump; `cut_segmentation` bool, True = pixel of a slump that is cut, see
        `darts_postprocessing.binarize.find_slumps`; and the latter three as `{band}-{model}` for each subset;
        and `uncertainty`, if the tile has it, as `probabilities`.

    Raises:
        ConfigError: If a parameter is out of its range.
        DataError: If a band is missing.
    """
    edge_px = mask_erosion_size if edge_erosion_size is None else edge_erosion_size
    check_sizes(mask_erosion_size=mask_erosion_size, edge_erosion_size=edge_px, min_object_size=min_object_size)
    check_threshold(bin_threshold)
    level = quality_level_number(quality_level)
    suffixes = model_suffixes(ensemble_subsets)
    _check_bands(tile, ["quality_data_mask"] if level > 0 else [], [f"probabilities{suffix}" for suffix in suffixes])
    extent = _extent(tile, level, mask_erosion_size, edge_px)
    made: dict[str, Any] = {"extent": extent}
    for suffix in suffixes:
        probabilities = tile[f"probabilities{suffix}"]
        slumps = find_slumps(
            probabilities.values, extent.values, bin_threshold, min_object_size, drop_cut_objects=drop_cut_objects
        )
        made |= _slump_bands(slumps, suffix)
        made[f"probabilities{suffix}"] = _only_within(probabilities, extent.values, in_place=in_place)
    if "uncertainty" in tile:
        made["uncertainty"] = _only_within(tile["uncertainty"], extent.values, in_place=in_place)
    return tile.assign(made)


def _slump_bands(slumps: Slumps, suffix: str) -> dict[str, xr.Variable]:
    """Return objects as bands on (y, x)."""
    attributes = {"long_name": "Binarized segmentation, 1 = slump", "n_objects": slumps.n_objects}
    cut = {"long_name": "Slumps that the extent or the edge of the tile cuts"}
    return {
        f"binarized_segmentation{suffix}": xr.Variable(("y", "x"), slumps.objects, attributes),
        f"cut_segmentation{suffix}": xr.Variable(("y", "x"), slumps.cut, cut),
    }


def _check_bands(tile: xr.Dataset, masks: list[str], probabilities: list[str]) -> None:
    missing = [name for name in (*masks, *probabilities) if name not in tile]
    if missing:
        raise DataError(f"the tile lacks {', '.join(missing)}. Segment it with the models whose results you ask for.")


def _extent(tile: xr.Dataset, level: int, erosion_px: int, edge_px: int) -> xr.DataArray:
    """Return where predictions are trusted: good ground, away from bad ground and from the edge."""
    template = tile["probabilities"]
    if level > 0:
        valid = erode_by_disk((tile["quality_data_mask"].values >= level).view(np.uint8), erosion_px)
    else:
        valid = np.ones(template.shape, dtype=np.uint8)
    attributes = {"long_name": "Extent of trusted predictions"}
    extent = cut_edges(valid, edge_px).view(bool)
    return xr.DataArray(extent, dims=template.dims, coords=template.coords, name="extent", attrs=attributes)


def _only_within(band: xr.DataArray, extent: Array, *, in_place: bool) -> xr.Variable:
    """Return a float32 band with NaN outside of the extent."""
    values = band.values
    own = in_place and values.flags.writeable
    masked = values if own else np.empty_like(values)
    for rows in row_blocks(len(extent)):
        if not own:
            np.copyto(masked[rows], values[rows])
        np.copyto(masked[rows], np.nan, where=~extent[rows])
    return band.variable.copy(data=masked)
