"""Five years of ground on which some bright places are slumps and others are not: what people review and publish.

Networks are left out: probabilities are made of the places, true and false ones, and real steps do the rest.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

import darts
from darts_export import export_tile
from darts_postprocessing import prepare_export
from darts_postprocessing.inventory.build import build
from darts_segmentation.models.card import read_card

YEARS = tuple(range(2020, 2025))
CRS = "EPSG:32608"
CORNER_M = (560_000, 7_700_000)
PIXEL_M, SITE_PX = 10, 64
TIERS = {"high": (0.9, 0.9), "medium": (0.75, 0.7), "low": (0.62, 0.5)}
"""Of each the probability that a network gives, and the share of slumps among what it finds."""
THRESHOLDS = {"low": 0.55, "medium": 0.7, "high": 0.85}
MODEL_FILE = Path(darts.__file__).parent / "demo/models/sentinel2/demo_without_tcvis.safetensors"
"""A model, so that there is one to publish; it has mapped nothing here."""
BANDS = ["probabilities", "polygonized", "extent", "optical", "metadata"]


@dataclass(frozen=True)
class ReviewedWorld:
    """Places, and the inventory of them."""

    sites: pd.DataFrame
    """One row a place: `row column` in pixels, `half_px`, `tier`, `is_slump`, `first` year, `grows`."""
    output: Path
    """Results folder."""
    inventory: Path

    def truth(self):
        """Return whether each slump of the inventory is one, by its id."""
        slumps = gpd.read_parquet(self.inventory / "slumps").drop_duplicates("slump_id", keep="last")
        middles = slumps.geometry.to_crs(CRS).representative_point()
        rows = ((CORNER_M[1] - middles.y) / PIXEL_M // SITE_PX).astype(int)
        columns = ((middles.x - CORNER_M[0]) / PIXEL_M // SITE_PX).astype(int)
        by_site = self.sites.set_index(["site_row", "site_column"])["is_slump"]
        found = [bool(by_site[place]) for place in zip(rows, columns, strict=True)]
        return dict(zip(slumps["slump_id"], found, strict=True))


def make_reviewed_world(root: Path, n_sites: int = 8, years=YEARS, seed: int = 4) -> ReviewedWorld:
    """Write the tiles of a world of `n_sites` by `n_sites` places, an image a year, and their inventory."""
    sites = _sites(n_sites, np.random.default_rng(seed))
    world = ReviewedWorld(sites, root / "output", root / "output" / "inventory")
    world.output.mkdir(parents=True)
    config = f'[darts]\nmodel_files = ["{MODEL_FILE.as_posix()}"]\n'
    (world.output / f"{years[0]}-08-01_10-00-00.config.toml").write_text(config)
    for year in years:
        write_year(world, n_sites, year)
    build([world.output], world.inventory)
    return world


def _sites(n_sites, rng):
    rows, columns = np.divmod(np.arange(n_sites**2), n_sites)
    tiers = rng.choice(list(TIERS), n_sites**2)
    return pd.DataFrame(
        {
            "site_row": rows, "site_column": columns,
            "row": rows * SITE_PX + rng.integers(24, 40, n_sites**2),
            "column": columns * SITE_PX + rng.integers(24, 40, n_sites**2),
            "half_px": rng.choice([2, 3, 5, 8, 12], n_sites**2),
            "tier": tiers, "is_slump": rng.random(n_sites**2) < [TIERS[tier][1] for tier in tiers],
            "first": rng.choice([YEARS[0]] * 3 + list(YEARS[1:4]), n_sites**2), "grows": rng.random(n_sites**2) < 0.5,
        }
    )  # fmt: skip


def write_year(world: ReviewedWorld, n_sites: int, year: int) -> None:
    """Write the tile of a year."""
    edge = n_sites * SITE_PX
    grid = GeoBox.from_bbox(
        (CORNER_M[0], CORNER_M[1] - edge * PIXEL_M, CORNER_M[0] + edge * PIXEL_M, CORNER_M[1]), CRS, resolution=PIXEL_M
    )
    rng = np.random.default_rng(year)
    probabilities = np.full(grid.shape, 0.02, dtype=np.float32)
    grown = cv2.GaussianBlur(rng.normal(0, 1, grid.shape).astype(np.float32), (0, 0), 6)
    red, nir = 0.06 + 0.01 * grown, 0.25 + 0.05 * grown
    for site in world.sites.itertuples():
        if site.first > year:
            continue
        half = site.half_px + (year - site.first if site.grows else 0)
        where = slice(site.row - half, site.row + half), slice(site.column - half, site.column + half)
        probabilities[where] = TIERS[site.tier][0]
        red[where], nir[where] = (0.24, 0.27) if site.is_slump else (0.12, 0.22)
    name = f"S2B_MSIL2A_{year}0720T200909_N0510_R128_T08WNB_{year}0720T234418"
    bands = {
        "probabilities": probabilities, "quality_data_mask": np.full(grid.shape, 2, dtype=np.uint8),
        "red": red, "green": 0.8 * red, "blue": 0.6 * red, "nir": nir,
    }  # fmt: skip
    attrs = {"tile_id": name, "s2_tile_id": name}
    tile = xr.Dataset({key: (("y", "x"), band) for key, band in bands.items()}, coords=xr_coords(grid), attrs=attrs)
    ready = prepare_export(tile, mask_erosion_size=0, min_object_size=1, quality_level=2)
    said = {
        "DARTS_tile_id": name, "acquired": f"{year}-07-20", "sensor": "sentinel2",
        "datetime": f"{year}-07-20T20:09:09Z", "DARTS_binarization_threshold": 0.5,
        "DARTS_models": f"demo_without_tcvis {read_card(MODEL_FILE).model_id}",
        "DARTS_calibrated": True, "DARTS_thresholds": THRESHOLDS,
        "DARTS_fingerprint_document": {
            "image": {"source": "cdse"}, "auxiliary": {"arcticdem": {"version": "4.1"}}, "parameters": {"overlap": 256},
        },
    }  # fmt: skip
    export_tile(ready, world.output / name, BANDS, metadata=said)
