"""The eight views of a square patch: quarter turns and mirror images, with the bands that are directions.

A picture that is turned shows another world, turned likewise: ground that faced north faces west after a quarter turn
to the left, and the sun, which stays where it is, meets it at another angle. So `aspect` turns with the picture, and
`hillshade` is made anew from slope, aspect and sun.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from darts_segmentation.model_units import laid_out_like, to_memory, to_model
from darts_utils.bands import FLAT_GRADIENT

_TURN_DEG = 360.0
_QUARTER = 0.25
_FLAT_DEG = 1.01 * math.degrees(math.atan(FLAT_GRADIENT))
"""Steepest slope of ground without an aspect; a little more, because slopes are rounded."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One of the symmetries of the square: the picture is mirrored first, left to right, then turned."""

    turns: int = 0
    """Quarter turns to the left (counterclockwise), 0 to 3."""
    mirrored: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether the picture stays as it is."""
        return not self.turns and not self.mirrored

    @property
    def keeps_shape(self) -> bool:
        """Whether a picture that is not square keeps its height and width."""
        return self.turns % 2 == 0

    @property
    def inverse(self) -> "View":
        """The view that leads back; each mirror image is its own."""
        return self if self.mirrored else View(turns=-self.turns % 4)

    def after(self, first: "View") -> "View":
        """Return the one view that is the same as another and then this one."""
        turns = self.turns + (-first.turns if self.mirrored else first.turns)
        return View(turns=turns % 4, mirrored=self.mirrored != first.mirrored)

    def turn(self, values: torch.Tensor) -> torch.Tensor:
        """Return (..., y, x) values moved to where the view shows them, such as labels; none is changed."""
        moved = torch.flip(values, dims=(-1,)) if self.mirrored else values
        return torch.rot90(moved, self.turns, dims=(-2, -1)) if self.turns else moved

    def undo(self, values: torch.Tensor) -> torch.Tensor:
        """Return (..., y, x) values of this view, such as logits, where they belong in the picture that was viewed."""
        return self.inverse.turn(values)

    def apply(self, x: torch.Tensor, bands: Sequence[str], sun: torch.Tensor | None = None) -> torch.Tensor:
        """Return what a network sees of this view.

        `aspect` turns, but for flat ground, where it is coded 0. `hillshade` is made anew where the sun is known, and
        else moves as it is. So does what has slope 0: level ground, which every sun lights alike, and ground without
        data, which stays 0. Without `slope`, an aspect of exactly 0 counts as flat, as nearly all of it is, and
        hillshade, like without `aspect`, moves as it is.

        Args:
            x: (n, band, y, x) float model representation, 0..1.
            bands: Names of the bands.
            sun: (n, 2) degrees: azimuth clockwise from true north, elevation above the horizon; NaN where unknown.
                None if it is nowhere known.

        Returns:
            (n, band, y, x), or (n, band, x, y) for an odd number of turns, channels last if `x` is; `x` itself for the
            identity. Hillshade: Horn (1981), doi:10.1109/PROC.1981.11918.
        """
        if self.is_identity:
            return x
        moved = laid_out_like(self.turn(x), x)  # a copy: only the identity turns without one
        channel = {name: index for index, name in enumerate(bands)}
        if "aspect" in channel:
            slope = moved[:, channel["slope"]] if "slope" in channel else None
            moved[:, channel["aspect"]] = self._turned_aspect(moved[:, channel["aspect"]], slope)
        if sun is not None and {"slope", "aspect", "hillshade"} <= channel.keys():
            slope, aspect, shade = (moved[:, channel[name]] for name in ("slope", "aspect", "hillshade"))
            moved[:, channel["hillshade"]] = _relit(slope, aspect, shade, sun)
        return moved

    def _turned_aspect(self, aspect: torch.Tensor, slope: torch.Tensor | None) -> torch.Tensor:
        turned = to_memory(aspect, "aspect").mul_((-1 if self.mirrored else 1) / _TURN_DEG)
        turned = turned.sub_(self.turns * _QUARTER).remainder_(1)
        turned.masked_fill_(turned >= 1, 0)  # the remainder of -1e-9 is 1 in float32, and north is 0
        return torch.where(_is_flat(aspect, slope), aspect, to_model(turned.mul_(_TURN_DEG), "aspect"))


VIEWS = tuple(
    View(turns=turns, mirrored=mirrored)
    for turns, mirrored in (
        (0, False), (0, True), (2, True), (2, False), (1, False), (3, False), (1, True), (3, True),
    )
)  # fmt: skip
"""All eight, the identity first. The first two, and the first four, which also suit patches that are not square, are
closed: one after another is again one of them."""


def _is_flat(aspect: torch.Tensor, slope: torch.Tensor | None) -> torch.Tensor:
    """Tell where an aspect is no direction."""
    coded_flat = aspect == 0
    if slope is None:
        return coded_flat
    return (slope == 0) | (coded_flat & (to_memory(slope, "slope") <= _FLAT_DEG))


def _relit(slope: torch.Tensor, aspect: torch.Tensor, shade: torch.Tensor, sun: torch.Tensor) -> torch.Tensor:
    """Return the hillshade of sloping ground where the sun is known, elsewhere as it was; all (n, y, x)."""
    azimuth, elevation = sun.to(slope).deg2rad().unbind(dim=1)
    azimuth, elevation = azimuth[:, None, None], elevation[:, None, None]
    steepness = to_memory(slope, "slope").deg2rad_()
    across = to_memory(aspect, "aspect").deg2rad_().sub_(azimuth).cos_()
    upright = steepness.cos().mul_(elevation.sin())  # the zenith angle's cosine is the elevation's sine
    lit = across.mul_(steepness.sin_()).mul_(elevation.cos()).add_(upright).clamp_min_(0)
    known = torch.isfinite(azimuth + elevation) & (slope != 0)
    return torch.where(known, to_model(lit, "hillshade"), shade)
