"""A part of a grid: whole rows and columns."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True, order=True)
class Window:
    """Rows and columns of a grid, in pixels from its upper left corner."""

    top: int
    left: int
    height: int
    width: int

    @property
    def name(self) -> str:
        """A name for files and folders."""
        return f"window-{self.top}-{self.left}-{self.height}x{self.width}"

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.left, self.left + self.width)

    @property
    def as_list(self) -> list[int]:
        """Top, left, height and width."""
        return [self.top, self.left, self.height, self.width]

    def covers(self, grid: "GeoBox") -> bool:
        """Tell whether it is all of a grid."""
        return self.as_list == [0, 0, *grid.shape]

    def crop(self, grid: "GeoBox") -> "GeoBox":
        """Return its part of the grid."""
        return grid[self.rows, self.columns]

    def coarser(self, times: int) -> "Window":
        """Return the window that covers it on a grid with the same corner whose pixels are larger by a whole number."""
        top, left = self.top // times, self.left // times
        bottom, right = -(-self.rows.stop // times), -(-self.columns.stop // times)
        return Window(top, left, bottom - top, right - left)

    def finer(self, times: int) -> "Window":
        """Return it on a grid with the same corner whose pixels are smaller by a whole number."""
        return Window(self.top * times, self.left * times, self.height * times, self.width * times)

    def within(self, other: "Window") -> "Window":
        """Return it as counted from the corner of another window."""
        return Window(self.top - other.top, self.left - other.left, self.height, self.width)


def window_of(grid: "GeoBox", bounds: tuple[float, float, float, float], margin_px: int) -> Window | None:
    """Return the part of a north-up grid that covers an area, with a margin, as far as the grid goes.

    Args:
        grid: The grid.
        bounds: West, south, east and north of the area, in the grid's CRS.
        margin_px: Pixels around it.

    Returns:
        None if the area lies outside of the grid.
    """
    west, south, east, north = bounds
    (first_column, first_row), (last_column, last_row) = (
        ~grid.affine * (west, north),
        ~grid.affine * (east, south),
    )
    height, width = grid.shape
    top, left = (max(0, math.floor(first) - margin_px) for first in (first_row, first_column))
    bottom = min(height, math.ceil(last_row) + margin_px)
    right = min(width, math.ceil(last_column) + margin_px)
    outside = min(last_row, last_column) <= 0 or first_row >= height or first_column >= width
    return None if outside else Window(top, left, bottom - top, right - left)
