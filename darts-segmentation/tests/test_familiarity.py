import logging

import numpy as np
import pytest
import torch
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from darts_segmentation.familiarity import Familiarity, drifting_bands, is_outside
from darts_segmentation.models.card import BandRange, ModelCard
from darts_segmentation.network import Member
from darts_utils.rasters.lazy import lazy_band

COAST = {"type": "MultiPolygon", "coordinates": [[[[-138, 69], [-136, 69], [-136, 70], [-138, 70], [-138, 69]]]]}
CHUKOTKA = {
    "type": "MultiPolygon",
    "coordinates": [[[[179, 68], [180, 68], [180, 69], [179, 69], [179, 68]]],
                    [[[-180, 68], [-179, 68], [-179, 69], [-180, 69], [-180, 68]]]],
}  # fmt: skip


def tile_at(epsg, left, top, red=0.1, spread=0.02, size=512):
    geobox = GeoBox.from_bbox((left, top - 10 * size, left + 10 * size, top), f"EPSG:{epsg}", resolution=10)
    values = np.random.default_rng(1).normal(red, spread, geobox.shape).astype(np.float32)
    quality = np.full(geobox.shape, 2, np.uint8)
    quality[:100] = 0
    values[:100] = 0.5  # clouds, which do not count
    layers = {"red": (("y", "x"), values), "quality_data_mask": (("y", "x"), quality)}
    return xr.Dataset(layers, coords=xr_coords(geobox))


YUKON = (32608, 420_000, 7_720_000)
"""On the coast above, near 137 W."""
ALASKA = (32605, 500_000, 7_900_000)


def card(domain=COAST, mean=1 / 3, std=1 / 30):
    return ModelCard(
        architecture={},
        bands=(BandRange.of("red"),),
        domain=domain,
        input_statistics={"red": {"mean": mean, "std": std}},
    )


def member(name="m", of=None):
    return Member(name=name, model=torch.nn.Identity(), bands=("red",), card=card() if of is None else of)


@pytest.mark.parametrize(
    ("domain", "place", "outside"),
    [
        (COAST, YUKON, False), (COAST, ALASKA, True), (None, ALASKA, False), ({}, ALASKA, False),
        (CHUKOTKA, (32601, 390_000, 7_600_000), False), (CHUKOTKA, YUKON, True),
    ],
)  # fmt: skip
def test_a_tile_lies_on_the_ground_of_training_or_not_across_the_antimeridian_too(domain, place, outside):
    assert is_outside(domain, tile_at(*place)) is outside


def test_numbers_like_those_of_training_do_not_drift():
    assert not list(drifting_bands(card(), tile_at(*YUKON)))


def test_a_mean_that_is_off_is_said_in_standard_deviations():
    assert list(drifting_bands(card(), tile_at(*YUKON, red=0.112))) == ["red higher by 0.6 standard deviations"]
    assert list(drifting_bands(card(), tile_at(*YUKON, red=0.088))) == ["red lower by 0.6 standard deviations"]
    assert not list(drifting_bands(card(), tile_at(*YUKON, red=0.108)))


def test_a_spread_that_is_off_is_said_as_a_ratio():
    (said,) = drifting_bands(card(), tile_at(*YUKON, spread=0.03))
    assert float(said.split()[2]) == pytest.approx(1.5, abs=0.03)
    assert len(list(drifting_bands(card(), tile_at(*YUKON, spread=0.014)))) == 1
    assert not list(drifting_bands(card(), tile_at(*YUKON, spread=0.023)))


def test_each_model_is_named_once_for_each_thing(caplog):
    caplog.set_level(logging.WARNING)
    one, other = member("coast"), member("everywhere", of=card(domain=None))
    familiarity = Familiarity([one, other, Member(name="old", model=torch.nn.Identity(), bands=("red",))])
    for number in range(3):
        familiarity.look(tile_at(*ALASKA, red=0.2), f"tile-{number}")
    assert [record.message for record in caplog.records] == [
        "the model coast was not trained on the ground of tile-0; look at the results before you believe them",
        "the models coast, everywhere see other numbers in tile-0 than in training: red higher by 5.0 standard "
        "deviations",
    ]


def test_of_a_band_that_is_made_where_it_is_read_little_is_made():
    made = []

    def read(rows, columns):
        made.append((rows.stop - rows.start) * (columns.stop - columns.start))
        return np.full((rows.stop - rows.start, columns.stop - columns.start), 0.1, np.float32)

    tile = xr.Dataset({"red": lazy_band(read, (10_980, 10_980), "float32")})
    list(drifting_bands(card(), tile))
    assert len(made) == 36
    assert sum(made) < 0.004 * 10_980**2


def test_the_whole_of_a_tile_counts_not_one_corner():
    tile = tile_at(*YUKON, size=1200)
    tile["red"][800:] = 0.2
    assert list(drifting_bands(card(), tile))
