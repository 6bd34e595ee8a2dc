"""Commands load as much elevation around a tile as is needed of it, wherever the tile lies."""

from types import SimpleNamespace

import pytest
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from darts.pipelines.auxiliary.arcticdem import ArcticDem
from darts_preprocessing.margin import margins_m

ZONE = "EPSG:32608"


@pytest.mark.parametrize("latitude", [50, 55, 60, 65, 70, 75, 80, 83])
@pytest.mark.parametrize(("resolution_m", "pixel_m"), [(2, 3), (10, 10), (32, 10)])
@pytest.mark.parametrize("radius_m", [30, 100, 300])
def test_the_margin_of_a_command_is_enough(latitude, resolution_m, pixel_m, radius_m):
    left, bottom = Transformer.from_crs(4326, ZONE, always_xy=True).transform(-134, latitude)
    tile = GeoBox.from_bbox((left, bottom, left + 300 * pixel_m, bottom + 200 * pixel_m), ZONE, resolution=pixel_m)
    request = SimpleNamespace(parameters=SimpleNamespace(tpi_outer_radius=radius_m), resolution_m=resolution_m)
    around = tile.footprint("EPSG:3413", npoints=100).buffer(ArcticDem().reach_m(request))
    elevation = GeoBox.from_bbox(around.boundingbox, "EPSG:3413", resolution=resolution_m).pad(1)  # as it is read
    given_m, needed_m, _ = margins_m(elevation, tile, -(-radius_m // pixel_m))
    assert given_m >= needed_m
