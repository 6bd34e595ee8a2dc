"""The administrative region that each image belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd

from darts_acquisition import download_admin_files
from darts_acquisition.catalog.vector_kinds import check_holds_shapes
from darts_utils.crs import EQUAL_AREA, transformed
from darts_utils.errors import DataError, MissingDataError, one_line

NO_REGION = "No Region"
_FILE = "geoBoundariesCGAZ_ADM2.shp"
_SAME_SHARE = 1e-6
"""Overlaps that differ by less than this share are taken for equal."""

_SLIVER_M2 = 1.0
"""Neighbours overlap by as much when they are projected, without meeting."""


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Regions by image id, and how sure they are."""

    names: Mapping[str, str]
    n_ties: int
    """Images that two regions share alike; the first by name is taken."""

    def tally(self) -> list[tuple[str, int]]:
        """Return what is worth telling."""
        missed = sum(name == NO_REGION for name in self.names.values())
        lines = [("images in no region", missed), ("images that two regions share alike", self.n_ties)]
        return [(what, n) for what, n in lines if n]


def fetch_boundaries(admin_dir: Path, *, offline: bool) -> Path:
    """Return the file with the districts; fetch it if it is missing and that is allowed.

    Raises:
        MissingDataError: If it is missing offline.
        ServiceError: If it cannot be fetched.
    """
    file = admin_dir / _FILE
    if not file.is_file():
        if offline:
            raise MissingDataError(
                f"there are no administrative boundaries at {file}. Fetch them while online: run once without "
                f'--offline, or `python -c "from pathlib import Path; from darts_acquisition import '
                f"download_admin_files; download_admin_files(Path('{admin_dir}'))\"`."
            )
        download_admin_files(admin_dir)
    return file


def regions_of(footprints: gpd.GeoSeries, boundaries: Path) -> Regions:
    """Return for each footprint the district that covers most of it.

    Args:
        footprints: Outlines with the image ids as index, in any CRS.
        boundaries: Polygons with the column `shapeName`.

    Raises:
        DataError: If the boundaries cannot be read, or have no usable CRS.
    """
    overlaps = _overlaps(footprints, boundaries)
    names = {str(image_id): NO_REGION for image_id in footprints.index}
    n_ties = 0
    for image_id, shares in overlaps.groupby("image_id", sort=False):
        best = shares["area"].max()
        leading = sorted(shares.loc[shares["area"] >= best * (1 - _SAME_SHARE), "region"])
        names[str(image_id)] = leading[0]
        n_ties += len(leading) > 1
    return Regions(names=names, n_ties=n_ties)


def _overlaps(footprints: gpd.GeoSeries, boundaries: Path) -> pd.DataFrame:
    """Return `image_id`, `region` and `area` in square metres of each pair that overlaps."""
    if footprints.empty:
        return pd.DataFrame({"image_id": [], "region": [], "area": []})
    regions = _regions_near(footprints, boundaries)
    own = gpd.GeoDataFrame({"image_id": footprints.index}, geometry=footprints.to_crs(EQUAL_AREA).values)
    own = own.set_geometry(own.geometry.make_valid())
    images, places = regions.sindex.query(own.geometry, predicate="intersects")
    left, right = (side.geometry.iloc[at].reset_index(drop=True) for side, at in ((own, images), (regions, places)))
    pairs = {
        "image_id": own["image_id"].iloc[images].to_numpy(),
        "region": regions["shapeName"].iloc[places].to_numpy(),
        "area": left.intersection(right).area.to_numpy(),
    }
    found = pd.DataFrame(pairs)
    return found[found["area"] > _SLIVER_M2].groupby(["image_id", "region"], as_index=False, sort=False).sum()


def _regions_near(footprints: gpd.GeoSeries, boundaries: Path) -> gpd.GeoDataFrame:
    """Return the regions around footprints on an equal-area map."""
    try:
        check_holds_shapes(boundaries)
        near = gpd.read_file(boundaries, columns=["shapeName"], bbox=footprints)
        near = near.set_geometry(near.geometry.make_valid())
    except Exception as error:  # GDAL and geopandas have many errors about what they cannot read
        raise DataError(
            f"the administrative boundaries {boundaries} cannot be read ({one_line(error)}). "
            "Delete them; they are fetched again."
        ) from error
    regions = transformed(near, EQUAL_AREA, str(boundaries))
    return regions[regions.geometry.notna()]
