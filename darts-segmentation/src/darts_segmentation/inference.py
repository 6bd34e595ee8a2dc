"""Probabilities of a whole tile from one or more networks, with one batch of patches in flight."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import numpy as np
import torch
import xarray as xr

from darts_segmentation.model_input import BandStack, check_bands
from darts_segmentation.network import Member, NetworkGroup, Running
from darts_segmentation.patch_loader import PatchBatch, PatchLoader
from darts_segmentation.patches import Patch, Patching, patch_grid
from darts_segmentation.symmetry import VIEWS
from darts_utils.errors import DataError
from darts_utils.parameters import TTA_VIEWS, Precision, Tta
from darts_utils.rasters.arrays import Array

_HOST_BATCH_PX = 2**20
_WATER = 6
"""Class of water in the scene classification of Sentinel-2."""

type PatchProbabilities = tuple[Patch, Array]
"""A patch and its probabilities, (output, y, x) float32."""


type Rule = Callable[[slice, slice], bool]
"""Tells something of some rows and columns of a tile."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Probabilities of a tile, (y, x) float32 from 0 to 1, NaN where the tile is not valid."""

    mean: Array
    """The arithmetic mean of all members."""
    members: dict[str, Array]
    """Each member's own, by name; empty unless asked for."""
    uncertainty: Array | None
    """Standard deviation of the probabilities of all members and views, 0 to 0.5; None unless asked for."""


def predict(
    tile: xr.Dataset,
    members: Sequence[Member],
    patching: Patching,
    device: torch.device,
    *,
    keep_members: bool = False,
    tta: Tta = "none",
    uncertainty: bool = False,
    temperature: float = 1.0,
    precision: Precision | None = None,
    nobody_asks: Rule | None = None,
    skip_water: bool = False,
) -> Prediction:
    """Return the probabilities of a tile.

    A pixel is not valid where `quality_data_mask` is 0 or an optical band that a network needs is NaN; networks see 0
    in all bands there. The members' union of bands is read and normalised once a batch.

    Args:
        tile: A preprocessed tile in memory representation.
        members: The networks, on `device`.
        patching: How the tile is cut.
        device: Where the networks run.
        keep_members: Whether each member's probabilities are returned too.
        tta: How many views of a patch each member sees, see `darts_utils.parameters.TTA_VIEWS`.
        uncertainty: Whether the spread of members and views is returned too. It is found patch by patch, and where
            patches overlap their variances are blended like their probabilities.
        temperature: What the logit of the mean of several members is divided by.
        precision: What the networks compute in; None as is usual on the device.
        nobody_asks: Tells whether nobody will look at some rows and columns. Patches that lie in such ground are not
            computed, and all of it is NaN.
        skip_water: Whether patches of which `s2_scl` calls every valid pixel water are not computed: they add 0.

    Raises:
        DataError: If the tile lacks a band, or a network gives no finite probability for a valid pixel.
    """
    check_bands(tile, {member.name: member.bands for member in members})
    bands = list(dict.fromkeys(band for member in members for band in member.bands))
    stack = BandStack(tile, bands)
    multiple = math.lcm(*(member.multiple for member in members))
    grid = patch_grid(stack.shape, patching, multiple, stack.origin)
    grid = grid if nobody_asks is None else grid.without(nobody_asks)
    computed = grid.without(partial(_is_water, tile)) if skip_water and "s2_scl" in tile else grid
    group = NetworkGroup(
        members,
        bands,
        device,
        keep_members=keep_members,
        views=VIEWS[: TTA_VIEWS[tta]],
        sun_deg=sun_of(tile),
        with_variance=uncertainty,
        temperature=temperature,
        precision=precision,
    )

    everyone: frozenset[str] = frozenset().union(*(member.optical for member in members))
    names = [member.name for member in members] if keep_members else []
    needs = [everyone] * (1 + uncertainty) + [member.optical for member in members][: len(names)]
    totals = [np.zeros(stack.shape, dtype=np.float32) for _ in needs]
    size = patching.batch_size if device.type == "cuda" else _host_batch(grid.patch_shape, patching.batch_size)
    optical_sets = {member.optical for member in members}
    loader = PatchLoader(stack, computed, optical_sets, size, pin=device.type == "cuda")
    for patch, values in _through(group, loader):
        for total, part in zip(totals, values, strict=True):
            patch.add_to(total, part)

    for total, needed in zip(totals, needs, strict=True):
        np.minimum(total, 1, out=total)  # shares add up to 1 only to within rounding
        if n_lost := stack.blank_invalid(total, needed):
            _refuse_not_finite(tile, members, patching, device, n_lost, tta)
        grid.blank_left_out(total)
    mean, *rest = totals
    spread = np.sqrt(rest[0], out=rest.pop(0)) if uncertainty else None
    return Prediction(mean=mean, members=dict(zip(names, rest, strict=True)), uncertainty=spread)


def _is_water(tile: xr.Dataset, rows: slice, columns: slice) -> bool:
    """Tell whether all valid pixels of a part of a tile are water, and there is one."""
    there = tile["s2_scl"].variable[rows, columns].values
    if "quality_data_mask" in tile:
        there = there[tile["quality_data_mask"].variable[rows, columns].values != 0]
    return there.size > 0 and bool((there == _WATER).all())


def sun_of(tile: xr.Dataset) -> tuple[float, float]:
    """Return azimuth and elevation of a tile's sun in degrees, NaN for what its attributes do not tell."""
    return _angle(tile.attrs.get("azimuth"), -360, 360), _angle(tile.attrs.get("elevation"), 0, 90)


def _angle(value: object, lowest: float, highest: float) -> float:
    """Return a number within limits, NaN for anything else."""
    return float(value) if isinstance(value, int | float | np.number) and lowest <= value <= highest else math.nan


def _refuse_not_finite(  # noqa: PLR0917  (what `predict` got)
    tile: xr.Dataset, members: Sequence[Member], patching: Patching, device: torch.device, n_lost: int, tta: Tta
) -> NoReturn:
    """Fail for the member whose numbers are not finite; the mean does not tell whose, so each is run by itself."""
    if len(members) > 1:
        for member in members:
            predict(tile, [member], patching, device, tta=tta)
    name = " + ".join(member.name for member in members)
    raise DataError(
        f"the model {name} gives no finite probability for {n_lost} valid pixels: its numbers are too large to compute"
        " with. Leave it out, or use another epoch of its training."
    )


def _host_batch(patch_shape: tuple[int, int], size: int) -> int:
    """Return how many patches go through the networks at once in host memory.

    One large patch keeps all cores busy. More of them only take more memory, and more time for getting it.
    """
    return min(size, max(1, _HOST_BATCH_PX // math.prod(patch_shape)))


def _through(group: NetworkGroup, batches: Iterable[PatchBatch]) -> Iterator[PatchProbabilities]:
    """Yield the results of each batch after the next one was started, so that host and device work side by side."""
    waiting = None
    for patches, batch in batches:
        started = (patches, group.launch(batch))
        if waiting is not None:
            yield from _unpack(*waiting)
        waiting = started
    if waiting is not None:
        yield from _unpack(*waiting)


def _unpack(patches: list[Patch], running: Running) -> Iterator[PatchProbabilities]:
    outputs = running.wait().numpy()  # (output, patch, y, x)
    return ((patch, outputs[:, index]) for index, patch in enumerate(patches))
