"""Names of the bands of Sentinel-2 L2A scenes in the Copernicus Data Space."""

from collections.abc import Mapping
from typing import Literal

type BandsMapping = Mapping[str, str] | Literal["all"]

DEFAULT_BANDS_MAPPING: dict[str, str] = {"B02_10m": "blue", "B03_10m": "green", "B04_10m": "red", "B08_10m": "nir"}
SCL_BAND = "SCL_20m"
