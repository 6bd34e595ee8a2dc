"""Probabilities of a whole tile from one or more networks, with one batch of patches in flight."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from darts_segmentation.layers import TileLayers, check_bands
from darts_segmentation.network import Batch, Member, NetworkGroup, Running
from darts_segmentation.patches import Array, Patch, Patching, PatchPlan, plan_patches

type PatchLayers = tuple[Patch, Array]
"""A patch and its probabilities, (layer, y, x) float32."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Probabilities of a tile, (y, x) float32 from 0 to 1, NaN where the tile is not valid."""

    mean: Array
    """The arithmetic mean of all members."""
    members: dict[str, Array]
    """Each member's own, by name; empty unless asked for."""


def predict(
    tile: xr.Dataset, members: Sequence[Member], patching: Patching, device: torch.device, *, keep_members: bool = False
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

    Raises:
        DataError: If the tile lacks a band.
    """
    check_bands(tile, {member.name: member.bands for member in members})
    bands = list(dict.fromkeys(band for member in members for band in member.bands))
    layers = TileLayers(tile, bands)
    multiple = math.lcm(*(member.multiple for member in members))
    plan = plan_patches(layers.shape, patching, multiple, layers.origin)
    group = NetworkGroup(members, bands, device, keep_members=keep_members)

    names = [member.name for member in members] if keep_members else []
    totals = [np.zeros(layers.shape, dtype=np.float32) for _ in range(1 + len(names))]
    batches = _Batches(layers, plan, members, patching.batch_size, pin=device.type == "cuda")
    for patch, values in _through(group, batches):
        for total, part in zip(totals, values, strict=True):
            patch.add_to(total, part)

    everyone: frozenset[str] = frozenset().union(*(member.optical for member in members))
    optical = [everyone, *(member.optical for member in members)][: len(totals)]
    for total, needed in zip(totals, optical, strict=True):
        np.minimum(total, 1, out=total)  # shares add up to 1 only to within rounding
        layers.blank_invalid(total, needed)
    return Prediction(mean=totals[0], members=dict(zip(names, totals[1:], strict=True)))


def _through(group: NetworkGroup, batches: "_Batches") -> Iterator[PatchLayers]:
    """Yield the results of each batch after the next one was started, so that host and device work side by side."""
    waiting = None
    for patches, batch in batches:
        started = (patches, group.launch(batch))
        if waiting is not None:
            yield from _unpack(*waiting)
        waiting = started
    if waiting is not None:
        yield from _unpack(*waiting)


def _unpack(patches: list[Patch], running: Running) -> Iterator[PatchLayers]:
    layers = running.wait().numpy()
    return ((patch, layers[:, index]) for index, patch in enumerate(patches))


class _Batches:
    """Reads the patches of a plan, `size` at once, leaving out those without any valid pixel.

    Two buffers take turns: while the device still reads one, the next batch is written into the other.
    """

    def __init__(self, layers: TileLayers, plan: PatchPlan, members: Sequence[Member], size: int, *, pin: bool) -> None:
        self._layers = layers
        self._plan = plan
        self._optical = {member.optical for member in members}
        self._pin = pin
        self._size = min(size, len(plan))

    def __iter__(self) -> Iterator[tuple[list[Patch], Batch]]:
        n_bands, shape = len(self._layers.bands), self._plan.patch_shape
        buffers = [
            (self._buffer(n_bands, *shape), {key: self._buffer(*shape, dtype=torch.bool) for key in self._optical})
            for _ in range(2 if self._pin else 1)
        ]
        turn = 0
        patches: list[Patch] = []
        for patch in self._plan:
            inputs, masks = buffers[turn % len(buffers)]
            if not self._read(patch, len(patches), inputs, masks):
                continue
            patches.append(patch)
            if len(patches) == self._size:
                yield patches, _batch(len(patches), inputs, masks)
                turn, patches = turn + 1, []
        if patches:
            yield patches, _batch(len(patches), *buffers[turn % len(buffers)])

    def _buffer(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.empty((self._size, *shape), dtype=dtype, pin_memory=self._pin)

    def _read(self, patch: Patch, index: int, inputs: torch.Tensor, masks: dict[frozenset[str], torch.Tensor]) -> bool:
        """Read a patch into place `index` of the buffers, or return False if it has no valid pixel."""
        optical = self._layers.read_optical(patch)
        valid = {key: self._layers.read_valid(patch, {name: optical[name] for name in key}) for key in masks}
        if not any(mask.any() for mask in valid.values()):
            return False
        self._layers.read_normalized(patch, inputs[index].numpy(), optical)
        for key, mask in valid.items():
            masks[key][index] = torch.from_numpy(mask)
        return True


def _batch(size: int, inputs: torch.Tensor, masks: dict[frozenset[str], torch.Tensor]) -> Batch:
    valid = {key: mask[:size] for key, mask in masks.items()}
    if all(bool(mask.all()) for mask in valid.values()):
        valid = {}
    return Batch(inputs=inputs[:size], valid=valid)
