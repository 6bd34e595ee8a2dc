"""Augmentations that move pixels: mirror images, turns and zoom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from darts_segmentation.symmetry import VIEWS, View
from darts_segmentation.training.augment.samples import Draws, Samples
from darts_segmentation.training.labels import IGNORED


@dataclass(frozen=True, kw_only=True)
class HorizontalFlip:
    """Mirrors a patch left to right; aspect and hillshade follow."""

    probability: float = 0.5

    def apply(self, samples: Samples, draws: Draws) -> Samples:  # noqa: ARG002  (as every augmentation)
        """Return the mirror images."""
        return viewed(samples, [View(mirrored=True)] * len(samples))


@dataclass(frozen=True, kw_only=True)
class VerticalFlip:
    """Mirrors a patch top to bottom; aspect and hillshade follow."""

    probability: float = 0.5

    def apply(self, samples: Samples, draws: Draws) -> Samples:  # noqa: ARG002  (as every augmentation)
        """Return the mirror images."""
        return viewed(samples, [View(mirrored=True, turns=2)] * len(samples))


@dataclass(frozen=True, kw_only=True)
class RandomRotate90:
    """Turns a patch by 0 to 3 quarter turns; aspect and hillshade follow."""

    probability: float = 1.0

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the turned patches; those that are not square are turned by half or not at all."""
        return _drawn_view(samples, draws, [view for view in VIEWS if not view.mirrored])


@dataclass(frozen=True, kw_only=True)
class D4:
    """Shows a patch in one of its eight views, each as often as any other; aspect and hillshade follow."""

    probability: float = 1.0

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the views; of patches that are not square those that keep their shape."""
        return _drawn_view(samples, draws, VIEWS)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Shows the ground around the centre of a patch larger or smaller.

    Slope, curvature and relative elevation keep their values. So the zoom is that of a landscape in all three
    directions, in which slopes are the same; its relative elevation would be larger by the factor, and its curvature
    smaller. For a zoom of 0.8 to 1.25 that is off by a quarter at most, which is less than by which these bands differ
    between one slump and the next, or between elevation models of two resolutions.

    Bands are interpolated among pixels with data; labels, and aspect, which is a direction, come from the nearest
    pixel. What lies outside is 0 in all bands, and ignored.
    """

    probability: float = 0.5
    lowest: float = 0.8
    """Factor of the size of things."""
    highest: float = 1.25

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the zoomed patches, of the same shape."""
        factors = draws.uniform_on_host(self.lowest, self.highest, len(samples)).double()
        height, width = samples.y.shape[-2:]
        rows, columns = _sources(factors, height), _sources(factors, width)
        nearest = _Nearest(rows, columns, height, width, samples.x.device)
        x = _interpolated(samples, rows, columns, nearest)
        self._keep_directions(samples, x, nearest)
        return replace(samples, x=x.clamp_(0, 1), y=nearest.pick(samples.y, IGNORED))

    def _keep_directions(self, samples: Samples, x: torch.Tensor, nearest: "_Nearest") -> None:
        """Take aspect from the nearest pixel, and slope 0 too: else a lake's shore, coded 0, would face north."""
        if (aspect := samples.bands.channel("aspect")) is not None:
            x[:, aspect] = nearest.pick(samples.x[:, aspect], 0)
        if (slope := samples.bands.channel("slope")) is not None:
            x[:, slope] *= nearest.pick(samples.x[:, slope], 0) != 0


def viewed(samples: Samples, views: Sequence[View]) -> Samples:
    """Return each patch in its view, all of which keep the shape; one by one, which copies least."""
    for index, view in enumerate(views):
        if not view.is_identity:
            one = slice(index, index + 1)
            samples.x[one] = view.apply(samples.x[one], samples.bands.names, samples.sun[one])
            samples.y[one] = view.turn(samples.y[one])
    return samples


def _drawn_view(samples: Samples, draws: Draws, views: Sequence[View]) -> Samples:
    square = samples.y.shape[-2] == samples.y.shape[-1]
    possible = [view for view in views if square or view.keeps_shape]
    return viewed(samples, [possible[number] for number in draws.integers(len(possible), len(samples))])


def _sources(factors: torch.Tensor, length: int) -> torch.Tensor:
    """Return where each pixel along an axis comes from, (n, length) float64, in pixels from the first one's centre."""
    centre = (length - 1) / 2
    return (torch.arange(length, dtype=torch.float64) - centre) / factors[:, None] + centre


class _Nearest:
    """The nearest source of each pixel, found on the CPU, so that every device picks the same."""

    def __init__(
        self, rows: torch.Tensor, columns: torch.Tensor, height: int, width: int, device: torch.device
    ) -> None:
        row, column = rows.round().long(), columns.round().long()
        inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]
        self._inside = inside.to(device)
        self._row = row.clamp(0, height - 1)[:, :, None].to(device)
        self._column = column.clamp(0, width - 1)[:, None, :].to(device)
        self._sample = torch.arange(len(rows), device=device)[:, None, None]

    def pick(self, values: torch.Tensor, outside: int) -> torch.Tensor:
        """Return (n, y, x) values of the sources, another number where there is none."""
        picked = values[self._sample, self._row, self._column]
        return torch.where(self._inside, picked, torch.full_like(picked, outside))


def _interpolated(samples: Samples, rows: torch.Tensor, columns: torch.Tensor, nearest: "_Nearest") -> torch.Tensor:
    """Return bands between pixels, (n, band, y, x): weighted means of those of the four neighbours that have data.

    They are 0 where the nearest of them has none.
    """
    shape = samples.y.shape
    grid = torch.stack([_unit(columns)[:, None, :].expand(shape), _unit(rows)[:, :, None].expand(shape)], dim=-1)
    grid = grid.to(samples.x)
    x = torch.empty_like(samples.x)
    for group in samples.bands.groups:
        channels = list(group)
        has_data = samples.has_data(channels)
        with_share = torch.cat([samples.x[:, channels], has_data.to(samples.x)], dim=1)
        moved = F.grid_sample(with_share, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        mean = moved[:, :-1] / moved[:, -1:].clamp_min(torch.finfo(x.dtype).tiny)
        x[:, channels] = mean * nearest.pick(has_data[:, 0], 0)[:, None]
    return x


def _unit(positions: torch.Tensor) -> torch.Tensor:
    """Return positions in pixels as `grid_sample` counts them, -1 and 1 at the outer edges."""
    return (2 * positions + 1) / positions.shape[1] - 1
