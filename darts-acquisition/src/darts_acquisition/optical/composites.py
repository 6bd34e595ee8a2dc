"""Composites that were made of scenes: a source like any other, but all of it lies on disk."""

from collections.abc import Mapping, Sequence
from typing import Any, Never, NoReturn

import xarray as xr
from odc.geo.geobox import GeoBox

from darts_acquisition.catalog.query import SceneQuery
from darts_acquisition.optical.sentinel2.catalog import OnBytes, SceneCatalog
from darts_acquisition.optical.sentinel2.raw_scene import RawScene
from darts_acquisition.optical.sentinel2.scaling import DN_SCALE
from darts_acquisition.optical.sentinel2.tile import SceneFormat, observations_in
from darts_utils.errors import ConfigError, MissingDataError
from darts_utils.rasters.window import Window
from darts_utils.search.criteria import named

BANDS = ("blue", "green", "red", "nir")
OBSERVATIONS, DAYS = "observations", "days"


def _attributes(scene: RawScene) -> dict[str, Any]:
    """Return the day in the middle of the scenes; they had many suns, so there are no angles."""
    return {"datetime": scene.attributes.get("datetime", "")}


class Composites(SceneCatalog[Never]):
    """Composites as `darts composite` writes them: reflectance times 10,000 as int16, -32768 = no data.

    Beside it lie `observations` (uint16, clear looks of a pixel) and `days` (uint16, days from 1970 to the look that a
    pixel is of, 0 = none).
    """

    name = "composite"
    label = "composites of one's own"
    form = SceneFormat(
        data_source="Composite of Sentinel-2 scenes",
        bands={name: name for name in BANDS},
        mask=observations_in(OBSERVATIONS),
        scale=lambda scene, band: (DN_SCALE, 0.0),  # noqa: ARG005  (the same for all)
        attributes=_attributes,
        dtype="int16",
        others=(DAYS,),
    )
    stored_as = "composite-"
    has_windows = True

    def search(self, query: SceneQuery) -> dict[str, Never]:  # noqa: ARG002  (whatever is asked)
        """Refuse: nobody can be asked.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "composites lie on disk, so they cannot be searched for. Make them with `darts composite sentinel2`, and "
            "name them with --scene-ids or --scene-id-file."
        )

    def describe(self, scene_ids: Sequence[str]) -> dict[str, Never]:
        """Refuse: what is known of a composite lies with it.

        Raises:
            MissingDataError: Always.
        """
        raise MissingDataError(
            f"the composite {named(scene_ids)} is not in the store. Make it with `darts composite sentinel2`, or name "
            "the store with --raw-data-store."
        )

    def scene_id(self, scene: Never) -> NoReturn:
        """Refuse, as all below: nothing is ever said of a composite but by itself."""
        self._refuse(scene)

    def grid(self, scene: Never) -> GeoBox:
        """Refuse."""
        self._refuse(scene)

    def covers(self, scene: Never) -> tuple[float | None, float | None]:
        """Refuse."""
        self._refuse(scene)

    def size_bytes(self, scene: Never, bands: Sequence[str]) -> int:  # noqa: ARG002  (none)
        """Refuse."""
        self._refuse(scene)

    def attributes(self, scene: Never) -> Mapping[str, Any]:
        """Refuse."""
        self._refuse(scene)

    def every_band(self, scene: Never) -> list[str]:
        """Refuse."""
        self._refuse(scene)

    def fetch(self, scene: Never, band: str, window: Window | None, on_bytes: OnBytes) -> xr.DataArray:  # noqa: ARG002  (none)
        """Refuse."""
        self._refuse(scene)

    def _refuse(self, scene: Never) -> NoReturn:
        raise MissingDataError(f"{scene} is no composite in the store. Make it with `darts composite sentinel2`.")
