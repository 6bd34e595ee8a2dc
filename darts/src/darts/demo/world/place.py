"""Where and when a sample world lies: its grid, its scene id and the sun."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyproj
from affine import Affine
from odc.geo.geobox import GeoBox

from darts.demo.world.fields import PIXEL_M
from darts_utils.errors import ConfigError

CRS = "EPSG:32608"
MARGIN_PX = 64
"""Ground known around the scene; the elevation must reach beyond it by the radius of the position index."""
SMALLEST_PX, LARGEST_PX = 128, 10980

_COLUMNS = {"L": 300_000, "M": 400_000, "N": 500_000, "P": 600_000}
_ROWS = {"B": 7_600_000, "C": 7_700_000, "A": 7_500_000, "D": 7_800_000}
_USED_M = 97_000
"""How much of a Sentinel-2 tile is used in each direction; the tiles themselves overlap beyond 100 km."""
_GAP_M = 4_000


@dataclass(frozen=True, kw_only=True)
class Place:
    """One scene in space and time."""

    scene_id: str
    """Product id as the Copernicus Data Space gives it."""
    grid_code: str
    """Sentinel-2 tile, as in `MGRS-08WNB`."""
    geobox: GeoBox
    """Grid of the scene, 10 m, in UTM."""
    time: datetime
    """Start of the data take, UTC."""
    sun_azimuth: float
    """Degrees clockwise from true north."""
    sun_elevation: float
    """Degrees above the horizon."""

    @property
    def padded_geobox(self) -> GeoBox:
        """Grid of the scene and the margin around it."""
        return self.geobox.pad(MARGIN_PX)


def place_of(seed: int, size: int) -> Place:
    """Return where and when the world of a seed lies; different seeds lie apart, as far as there is room.

    Args:
        seed: Seed of the world.
        size: Edge length of the scene in pixels.

    Raises:
        ConfigError: If the seed is negative or the size is out of range.
    """
    if seed < 0:
        raise ConfigError(f"seed is {seed} but must not be negative.")
    if not SMALLEST_PX <= size <= LARGEST_PX:
        raise ConfigError(f"size is {size} px but must be from {SMALLEST_PX} to {LARGEST_PX}.")
    column, row, left, top = _slot(seed, size)
    geobox = GeoBox((size, size), Affine(PIXEL_M, 0, left, 0, -PIXEL_M, top), CRS)
    rng = np.random.default_rng([seed, size])
    time = datetime(2024, 7, 8, 20, 0, tzinfo=UTC) + timedelta(
        days=int(rng.integers(0, 45)), seconds=int(rng.integers(0, 2400))
    )
    azimuth, elevation = sun_at(geobox, time)
    return Place(
        scene_id=scene_id_of(rng, time, f"08W{column}{row}"),
        grid_code=f"MGRS-08W{column}{row}",
        geobox=geobox,
        time=time,
        sun_azimuth=azimuth,
        sun_elevation=elevation,
    )


def _slot(seed: int, size: int) -> tuple[str, str, float, float]:
    """Return the Sentinel-2 tile (column and row letter) and the upper left corner of a world."""
    per_side = max(1, int((_USED_M + _GAP_M) // (size * PIXEL_M + _GAP_M)))
    tile, index = divmod(seed, per_side**2)
    index = index * 29 % per_side**2 if per_side % 29 else index  # neighbours in seed are no neighbours on the ground
    column = list(_COLUMNS)[(tile + 2) % 4]
    row = list(_ROWS)[tile // 4 % 4]
    pitch = 10 * int(max(_USED_M - size * PIXEL_M, 0) / max(per_side - 1, 1) / 10)
    down, right = divmod(index, per_side)
    return column, row, _COLUMNS[column] - 20 + right * pitch, _ROWS[row] + 100_040 - down * pitch


def scene_id_of(rng: np.random.Generator, time: datetime, tile: str) -> str:
    """Return a product id; times and orbit are random enough that two seeds never share one."""
    made = time + timedelta(seconds=int(rng.integers(2 * 3600, 9 * 3600)))
    satellite, orbit = str(rng.choice(["S2A", "S2B"])), int(rng.choice([14, 28, 57, 71, 85, 114, 128]))
    return f"{satellite}_MSIL2A_{time:%Y%m%dT%H%M%S}_N0510_R{orbit:03d}_T{tile}_{made:%Y%m%dT%H%M%S}"


def sun_at(geobox: GeoBox, time: datetime) -> tuple[float, float]:
    """Return azimuth and elevation of the sun in degrees, from its declination and hour angle (to half a degree)."""
    centre = geobox.extent.centroid.points[0]
    lon, lat = pyproj.Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True).transform(*centre)
    day = time.timetuple().tm_yday
    declination = np.radians(23.44 * np.sin(2 * np.pi * (284 + day) / 365))
    hour_angle = np.radians((time.hour + time.minute / 60) * 15 + lon - 180)
    phi = np.radians(lat)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    east = -np.cos(declination) * np.sin(hour_angle)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour_angle)
    azimuth = np.degrees(np.arctan2(east, north)) % 360
    return round(float(azimuth), 4), round(float(np.degrees(np.arcsin(up))), 4)
