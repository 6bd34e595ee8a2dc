"""Grids of mosaics: cells that lie where they lie whatever there is to show, so that new images change few files."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio import Affine
from shapely.geometry.base import BaseGeometry

from darts_utils.crs import EQUAL_AREA, LONGLAT, outline_on, transformer
from darts_utils.errors import ConfigError

CELL_M = 96_000
"""Edge of a cell of the polar grid: many sizes of pixels divide it, 3, 10 and 30 m among them."""
FINEST_M, COARSEST_M = 2.0, 1000.0
"""Sizes of pixels of the polar grid; with finer ones a cell would not fit into memory."""
CELL_ZOOMS = 5
"""A cell of the Mercator grid is a tile so many zoom levels above its pixels."""
COARSEST_ZOOM, FINEST_ZOOM = 9, 24
"""Cells above coarser ones would reach so far that transverse Mercator maps show some places twice."""
_TILE_PX = 256
_EARTH_RADIUS_M = 6_378_137.0
"""Of the sphere of EPSG:3857, the great semi-axis of WGS84."""
_WORLD_M = 2 * math.pi * _EARTH_RADIUS_M
_NORTHERNMOST = math.degrees(math.atan(math.sinh(math.pi)))
"""Latitude at which the square of the Mercator grid ends, in degrees."""
_EDGE_POINTS = 100
"""Points along an edge, because straight lines of one map are bent on another."""
_MARGIN = 3 / 8192
"""By which outlines are widened to find cells, in cells: more than they bend between their points."""
_JUST_INSIDE_M, _FROM_CORNER_M = 1e-12, 1e-3
_DIGITS = 6
"""Decimals of degrees of footprints: a tenth of a metre."""


@dataclass(frozen=True, order=True)
class Cell:
    """A cell of a grid by its place in it."""

    column: int
    row: int


class MosaicGrid(Protocol):
    """A plane that is divided into cells, and those into square pixels."""

    crs: ClassVar[str]
    layout: ClassVar[Mapping[str, Any]]
    """Creation options of cloud-optimised GeoTIFFs on it."""

    @property
    def name(self) -> str:
        """What it is called; two grids of one name are the same."""
        ...

    @property
    def cell_px(self) -> int:
        """Edge of a cell, in pixels."""
        ...

    def name_of(self, cell: Cell) -> str:
        """Return the name of a cell, for files and addresses; names of a grid are equally long."""
        ...

    def pixels_of(self, cell: Cell) -> GeoBox:
        """Return the pixels of a cell, north up."""
        ...

    def footprint_of(self, cell: Cell) -> shapely.Polygon:
        """Return the outline of a cell as longitude and latitude, which does not cross the antimeridian."""
        ...

    def cells_under(self, ground: GeoBox, where: str) -> list[Cell]:
        """Return all cells in which pixels may see some ground, in order; there may be one that just touches it.

        Args:
            ground: Pixels of an image, in any CRS.
            where: What image, for the message.

        Raises:
            GridError: If it has no place on Earth.
        """
        ...


@dataclass(frozen=True)
class PolarGrid:
    """EASE-Grid 2.0 North (EPSG:6931) in cells of 96 km from the pole: equal-area, without a seam."""

    pixel_size_m: float
    crs: ClassVar[str] = EQUAL_AREA
    layout: ClassVar[Mapping[str, Any]] = {"blocksize": 512}

    @property
    def name(self) -> str:
        """`polar-10m`, by the size of pixels."""
        return f"polar-{self.pixel_size_m:.10g}m"

    @property
    def cell_px(self) -> int:
        """Edge of a cell, in pixels."""
        return round(CELL_M / self.pixel_size_m)

    def name_of(self, cell: Cell) -> str:
        """Return a name such as `x-012y0003`, column and row from the pole, rows going up.

        There is no plus sign in it, which some storages read as a space in addresses.
        """
        return f"x{cell.column:04d}y{cell.row:04d}"

    def pixels_of(self, cell: Cell) -> GeoBox:
        """Return the pixels of a cell."""
        size = self.pixel_size_m
        corner = (float(cell.column * CELL_M), float((cell.row + 1) * CELL_M))
        return GeoBox((self.cell_px, self.cell_px), Affine(size, 0, corner[0], 0, -size, corner[1]), self.crs)

    def footprint_of(self, cell: Cell) -> shapely.Polygon:
        """Return the outline of a cell, counterclockwise: as the pole and the antimeridian lie on edges, none is cut.

        Its points lie inside by next to nothing, so that longitudes of 180 degrees have the sign of their cell. Edges
        begin a millimetre from corners: a corner on the pole becomes the pole on both meridians.
        """
        low = _JUST_INSIDE_M * np.array([1, 1]) + CELL_M * np.array([cell.column, cell.row])
        high = low + CELL_M - 2 * _JUST_INSIDE_M
        along = np.concatenate([[_FROM_CORNER_M], np.linspace(0, CELL_M, 17)[1:-1], [CELL_M - _FROM_CORNER_M]])
        x, y = (CELL_M * start + along for start in (cell.column, cell.row))
        same = np.ones_like(along)
        ring_x = np.concatenate([x, high[0] * same, x[::-1], low[0] * same])
        ring_y = np.concatenate([low[1] * same, y, high[1] * same, y[::-1]])
        points = np.stack(transformer(self.crs, LONGLAT).transform(ring_x, ring_y), axis=-1)
        outline: shapely.Polygon = shapely.remove_repeated_points(shapely.Polygon(points.round(_DIGITS)))
        return outline

    def cells_under(self, ground: GeoBox, where: str) -> list[Cell]:
        """Return all cells in which pixels may see some ground."""
        outline = outline_on(ground, self.crs, where, npoints=_EDGE_POINTS)
        return _cells_under(shapely.transform(outline, lambda points: points / CELL_M))


@dataclass(frozen=True)
class MercatorGrid:
    """WebMercatorQuad (EPSG:3857): pixels are those of tiles of a zoom level, cells tiles 5 levels above it.

    So blocks of a file are tiles, of its overviews those of the levels above, and maps on the web show them as they
    are. https://docs.ogc.org/is/17-083r4/17-083r4.html
    """

    zoom: int
    crs: ClassVar[str] = "EPSG:3857"
    layout: ClassVar[Mapping[str, Any]] = {
        "blocksize": _TILE_PX,
        "tiling_scheme": "GoogleMapsCompatible",
        "aligned_levels": CELL_ZOOMS + 1,
        "warp_resampling": "NEAREST",
        "add_alpha": "NO",
    }

    @property
    def name(self) -> str:
        """`mercator-z12`, by the zoom level of pixels."""
        return f"mercator-z{self.zoom:02d}"

    @property
    def cell_px(self) -> int:
        """Edge of a cell, in pixels."""
        return _TILE_PX << CELL_ZOOMS

    @property
    def _n_cells(self) -> int:
        """Cells around the world."""
        return 1 << (self.zoom - CELL_ZOOMS)

    def name_of(self, cell: Cell) -> str:
        """Return a name such as `z07x000012y000031`: zoom level, column and row of the tile, rows going down."""
        return f"z{self.zoom - CELL_ZOOMS:02d}x{cell.column:06d}y{cell.row:06d}"

    def pixels_of(self, cell: Cell) -> GeoBox:
        """Return the pixels of a cell."""
        edge, half = _WORLD_M / self._n_cells, self._n_cells / 2
        size = edge / self.cell_px
        affine = Affine(size, 0, (cell.column - half) * edge, 0, -size, (half - cell.row) * edge)
        return GeoBox((self.cell_px, self.cell_px), affine, self.crs)

    def footprint_of(self, cell: Cell) -> shapely.Polygon:
        """Return the outline of a cell."""
        west, east = ((cell.column + side) / self._n_cells * 360 - 180 for side in (0, 1))
        north, south = (
            math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (cell.row + side) / self._n_cells)))) for side in (0, 1)
        )
        return shapely.box(*(round(side, _DIGITS) for side in (west, south, east, north)))

    def cells_under(self, ground: GeoBox, where: str) -> list[Cell]:
        """Return all cells in which pixels may see some ground, on both sides of the antimeridian where it lies there.

        Nothing is seen beyond 85.05 degrees of latitude, where the grid ends.
        """
        ring = shapely.get_coordinates(outline_on(ground, LONGLAT, where, npoints=_EDGE_POINTS).exterior)
        longitudes = np.unwrap(ring[:, 0], period=360)
        latitudes = np.clip(ring[:, 1], -_NORTHERNMOST, _NORTHERNMOST)
        column = (longitudes / 360 + 0.5) * self._n_cells
        row = (0.5 - np.arcsinh(np.tan(np.radians(latitudes))) / (2 * math.pi)) * self._n_cells
        if np.ptp(row) == 0:  # all of it lies beyond
            return []
        if abs(longitudes[-1] - longitudes[0]) > 180:  # it goes around a pole
            last = 0 if latitudes.mean() > 0 else self._n_cells
            outline = shapely.box(0, min(last, row.min()), self._n_cells, max(last, row.max()))
        else:
            outline = shapely.Polygon(np.stack([column, row], axis=-1))
        cells = {Cell(one.column % self._n_cells, one.row) for one in _cells_under(outline)}
        return sorted(one for one in cells if 0 <= one.row < self._n_cells)


def polar_grid(pixel_size_m: float) -> PolarGrid:
    """Return the polar grid with pixels of a size, in metres.

    Raises:
        ConfigError: If pixels of this size do not divide a cell, or are finer or coarser than can be.
    """
    is_possible = math.isfinite(pixel_size_m) and FINEST_M <= pixel_size_m <= COARSEST_M
    number = round(CELL_M / pixel_size_m) if is_possible else 0
    if not is_possible or not math.isclose(number * pixel_size_m, CELL_M, rel_tol=1e-9):
        near = " or ".join(f"{size:g}" for size in _sizes_near(pixel_size_m))
        raise ConfigError(
            f"pixel_size_m is {pixel_size_m:g} but must be from {FINEST_M:g} to {COARSEST_M:g} and divide a cell of "
            f"{CELL_M} m. Give {near}."
        )
    return PolarGrid(CELL_M / number)


def nearest_size_m(pixel_size_m: float) -> float:
    """Return the size nearest to one, in metres, of which a whole number fits into a cell of the polar grid."""
    return CELL_M / round(CELL_M / min(max(pixel_size_m, FINEST_M), COARSEST_M))


def _sizes_near(size: float) -> list[float]:
    """Return the next smaller and the next larger size in decimetres that divide a cell."""
    cell_dm = 10 * CELL_M
    sizes = [dm / 10 for dm in range(round(10 * FINEST_M), round(10 * COARSEST_M) + 1) if cell_dm % dm == 0]
    smaller, larger = [one for one in sizes if one < size], [one for one in sizes if not one < size]
    return [*smaller[-1:], *larger[:1]]


def mercator_zoom(pixel_size_m: float, latitude: float) -> int:
    """Return the zoom level whose pixels are nearest in size to those of images at a latitude.

    Nearest means by their ratio, as GDAL, rio-cogeo and morecantile choose it unless told otherwise. At the equator
    pixels of zoom level 0 are 156,543 m, half of it at each further one, and cos(latitude) of it on the ground.

    Args:
        pixel_size_m: Of the images, on the ground.
        latitude: In the middle of all images, in degrees. Keep the level for later publications: another one means
            other files everywhere.

    Raises:
        ConfigError: If there is no such level.
    """
    if not (math.isfinite(pixel_size_m) and pixel_size_m > 0 and abs(latitude) < _NORTHERNMOST):
        raise ConfigError(
            f"there is no zoom level for pixels of {pixel_size_m:g} m at a latitude of {latitude:g} degrees. Give a "
            f"size above 0 and a latitude below {_NORTHERNMOST:.2f}, or take the polar grid."
        )
    finer = math.log2(_WORLD_M / _TILE_PX * math.cos(math.radians(latitude)) / pixel_size_m)
    return min(max(math.floor(finer + 0.5), COARSEST_ZOOM), FINEST_ZOOM)


def mercator_grid(zoom: int) -> MercatorGrid:
    """Return the Mercator grid with pixels of a zoom level, see `mercator_zoom`.

    Raises:
        ConfigError: If there is none, or it is too coarse.
    """
    if not COARSEST_ZOOM <= zoom <= FINEST_ZOOM:
        raise ConfigError(f"zoom is {zoom} but must be from {COARSEST_ZOOM} to {FINEST_ZOOM}. Correct it.")
    return MercatorGrid(zoom)


def _cells_under(outline: BaseGeometry) -> list[Cell]:
    """Return which cells an outline touches, whose coordinates are in cells; those it just does not touch are some."""
    widened = outline.buffer(_MARGIN)
    west, south, east, north = map(math.floor, widened.bounds)
    columns, rows = np.meshgrid(np.arange(west, east + 1), np.arange(south, north + 1), indexing="ij")
    touched = shapely.intersects(widened, shapely.box(columns, rows, columns + 1, rows + 1))
    return [Cell(int(column), int(row)) for column, row in zip(columns[touched], rows[touched], strict=True)]
