"""Whether faster numbers say the same as float32: tried on patches of a scene, model by model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from darts_segmentation.model_input import BandStack
from darts_segmentation.network import Batch, Member, NetworkGroup
from darts_segmentation.patches import Patch, Patching, patch_grid
from darts_utils.errors import DataError
from darts_utils.parameters import FLOAT32, Precision
from darts_utils.rasters.arrays import Array

SHARE = 0.999
LIMIT = 0.005
"""By which probabilities of this share of the pixels may differ from those in float32, at most."""
PATCH_PX = 512
N_PATCHES = 4


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How far a network in faster numbers is from the same in float32."""

    most: float
    """Difference of probabilities, 0 to 1, that `SHARE` of the pixels keep within; infinite where numbers overflow."""
    flips: float
    """Share of the pixels, 0 to 1, that change sides of 0.5."""

    @property
    def holds(self) -> bool:
        """Whether it is near enough."""
        return self.most <= LIMIT


def check_precision(member: Member, patches: Sequence[Batch], precision: Precision, device: torch.device) -> Verdict:
    """Return how far a network in a precision is from the same in float32.

    Args:
        member: The network.
        patches: What it is tried on, see `patches_to_try`.
        precision: What is tried.
        device: Where it runs.
    """
    exact, other = (_of(member, patches, one, device) for one in (FLOAT32, precision))
    if not np.isfinite(other).all():
        return Verdict(most=float("inf"), flips=1.0)
    return Verdict(
        most=float(np.quantile(np.abs(other - exact), SHARE)), flips=float(((other > 0.5) != (exact > 0.5)).mean())
    )


type Verdicts = Mapping[Precision, Mapping[str, Verdict]]
"""By precision and by model."""


def check_precisions(
    members: Sequence[Member], tile: xr.Dataset, device: torch.device, faster: Sequence[Precision]
) -> Verdicts:
    """Return how far networks are from float32 in faster precisions, up to the first that holds for all of them.

    Args:
        members: The networks.
        tile: A preprocessed tile in memory representation.
        device: Where they run.
        faster: What is tried, in this order.

    Raises:
        DataError: If the tile has no valid pixel to try anything on.
    """
    patches = {member.name: patches_to_try(tile, member) for member in members}
    if not all(patches.values()):
        raise DataError("there is no valid pixel to compare precisions on")
    verdicts: dict[Precision, dict[str, Verdict]] = {}
    for precision in faster:
        verdicts[precision] = {
            member.name: check_precision(member, patches[member.name], precision, device) for member in members
        }
        if best_precision(verdicts, [precision]) == precision:
            break
    return verdicts


def best_precision(verdicts: Verdicts, faster: Sequence[Precision]) -> Precision:
    """Return the first precision that holds for all networks, float32 if none does."""
    tried = [precision for precision in faster if verdicts.get(precision)]
    return next((one for one in tried if all(verdict.holds for verdict in verdicts[one].values())), FLOAT32)


def _of(member: Member, patches: Sequence[Batch], precision: Precision, device: torch.device) -> Array:
    """Return (pixel,) float32 probabilities of the valid pixels."""
    group = NetworkGroup([member], member.bands, device, keep_members=False, precision=precision, guarded=False)
    found = []
    for batch in patches:
        (valid,) = batch.valid.values()
        found.append(group.launch(batch).wait()[0][valid].numpy())
    return np.concatenate(found)


def patches_to_try(tile: xr.Dataset, member: Member) -> list[Batch]:
    """Return patches of a tile with the most valid ground, spread over it, as a network sees them.

    Args:
        tile: A preprocessed tile in memory representation.
        member: The network.

    Returns:
        At most `N_PATCHES` batches of one patch with some valid pixel; none where the tile has none.
    """
    stack = BandStack(tile, member.bands)
    grid = patch_grid(stack.shape, Patching(patch_size=PATCH_PX, overlap=0), member.multiple, stack.origin)
    quality = tile["quality_data_mask"].variable if "quality_data_mask" in tile else None
    patches = list(grid)
    shares = [1.0 if quality is None else float((patch.read(quality) != 0).mean()) for patch in patches]
    wanted = _spread(np.array(shares), N_PATCHES)
    batches = [_batch(stack, patches[index], grid.patch_shape, member) for index in wanted]
    return [batch for batch in batches if batch.valid[member.optical].any()]


def _spread(shares: Array, number: int) -> Array:
    """Return the places of the highest shares; of equal ones some far from one another."""
    order = np.argsort(-np.round(shares, 2), kind="stable")
    best = order[: max(number, int((shares >= shares.max() - 0.01).sum()))]
    chosen: Array = np.sort(best)[np.unique(np.linspace(0, len(best) - 1, min(number, len(best))).round().astype(int))]
    return chosen


def _batch(stack: BandStack, patch: Patch, shape: tuple[int, int], member: Member) -> Batch:
    inputs = np.empty((*shape, len(member.bands)), dtype=np.float32)
    valid = {member.optical: np.empty(shape, dtype=bool)}
    stack.read(patch, slice(0, shape[0]), inputs, valid, np.empty((len(member.bands), *shape), dtype=np.float32))
    return Batch(
        inputs=torch.from_numpy(inputs)[None].permute(0, 3, 1, 2),
        valid={key: torch.from_numpy(mask)[None] for key, mask in valid.items()},
    )
