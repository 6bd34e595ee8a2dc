import re

import numpy as np
import pytest
from rasterio.features import rasterize

from darts.demo.world.fields import Noise
from darts.demo.world.make import make_world
from darts.demo.world.place import MARGIN_PX, place_of
from darts_utils.errors import ConfigError

INNER = (slice(MARGIN_PX, -MARGIN_PX),) * 2


def burned(world):
    geobox = world.place.geobox
    return rasterize(world.truth.geometry, out_shape=tuple(geobox.shape), transform=geobox.affine) > 0


def test_the_same_seed_gives_the_same_world(world):
    again = make_world(world.seed, world.size)
    # sums of floats may differ in the last bit with the alignment of the memory
    np.testing.assert_allclose(again.reflectance, world.reflectance, atol=1e-6)
    np.testing.assert_allclose(again.elevation, world.elevation, atol=1e-4)
    np.testing.assert_array_equal(again.classes, world.classes)
    np.testing.assert_array_equal(again.trends, world.trends)
    assert again.truth.equals(world.truth)
    assert again.scene_id == world.scene_id


def test_another_seed_gives_another_world_at_another_place(world):
    other = make_world(world.seed + 1, world.size)
    assert other.scene_id != world.scene_id
    assert other.place.geobox.affine != world.place.geobox.affine
    assert np.nanmean(np.abs(other.reflectance - world.reflectance)) > 0.01
    assert not np.allclose(other.truth.area.sum(), world.truth.area.sum())


def test_layers_have_the_shapes_dtypes_and_ranges_they_promise(world):
    n, padded = world.size, world.size + 2 * MARGIN_PX
    assert (world.reflectance.shape, world.reflectance.dtype) == ((4, n, n), np.float32)
    assert (world.classes.shape, world.classes.dtype) == ((n, n), np.uint8)
    assert (world.elevation.shape, world.elevation.dtype) == ((padded, padded), np.float32)
    assert (world.trends.shape, world.trends.dtype) == ((3, padded, padded), np.uint8)
    assert np.nanmin(world.reflectance) > -0.05
    assert np.nanmax(world.reflectance) < 1.1
    assert np.nanmin(world.elevation) > -2
    assert np.nanmax(world.elevation) < 250
    assert world.trends.min() > 0  # 0 would mean that there is none


def test_the_sky_has_cloud_shadow_and_the_edge_of_the_swath(world):
    share = np.bincount(world.classes.ravel(), minlength=12) / world.classes.size
    no_data, shadow, plants, water, cloud = share[0], share[3], share[4], share[6], share[8] + share[9]
    assert 0.005 < no_data < 0.12
    assert shadow > 0.002
    assert 0.005 < cloud < 0.15
    assert plants > 0.4
    assert water > 0.05
    assert share[[1, 11]].sum() == 0


def test_no_data_is_the_same_in_all_bands_and_cloud_is_bright(world):
    holes = np.isnan(world.reflectance)
    assert (holes == holes[0]).all()
    assert holes[0][world.classes == 0].mean() > 0.9
    assert np.nanmedian(world.reflectance[2][world.classes == 9]) > 0.35


def test_the_classification_comes_in_blocks_of_20_metres(world):
    classes = world.classes
    np.testing.assert_array_equal(classes[::2, ::2], classes[1::2, 1::2])


def test_outlines_are_valid_apart_and_inside_the_scene(world):
    truth = world.truth
    assert len(truth) >= 3
    assert truth.geometry.is_valid.all()
    assert truth.id.is_unique
    assert truth.crs == world.place.geobox.crs.to_wkt()
    assert set(truth.kind) <= {"coastal", "lakeshore", "riverside", "hillside"}
    np.testing.assert_allclose(truth.area_m2, truth.area, atol=0.1)
    assert truth.within(world.place.geobox.extent.geom.buffer(0.01)).all()
    assert truth.union_all().area == pytest.approx(truth.area.sum(), rel=1e-6)


def test_a_slump_leaves_its_trace_in_every_layer(world):
    clear = np.isin(world.classes, (4, 5))
    inside = burned(world)
    near = burned_around(world, 150) & ~burned_around(world, 30)
    red, nir = world.reflectance[2:]
    ndvi = (nir - red) / (nir + red)
    brightness, greenness, _ = (layer[INNER].astype(float) for layer in world.trends)
    assert np.median(ndvi[inside & clear]) < np.median(ndvi[near & clear]) - 0.2
    assert brightness[inside].mean() > brightness[near & clear].mean() + 15
    assert greenness[inside].mean() < greenness[near & clear].mean() - 15
    rough = np.hypot(*np.gradient(world.elevation[INNER]))
    assert np.nanmean(rough[inside]) > 1.5 * np.nanmean(rough[near & clear])


def burned_around(world, metres):
    geobox = world.place.geobox
    shapes = world.truth.buffer(metres)
    return rasterize(shapes, out_shape=tuple(geobox.shape), transform=geobox.affine) > 0


def test_bare_ground_alone_does_not_tell_slumps_from_the_rest(world):
    """There are bars, beaches, gravel, rock and drained lakes: a threshold of the NDVI is far from the truth."""
    red, nir = world.reflectance[2:]
    known = np.isin(world.classes, (4, 5))
    bare = known & ((nir - red) / (nir + red) < 0.35)
    truth = burned(world) & known
    assert (bare & truth).sum() / (bare | truth).sum() < 0.65


def test_worlds_of_one_size_lie_apart():
    boxes = [place_of(seed, 1024).geobox.extent.geom.buffer(900) for seed in range(100)]
    for index, box in enumerate(boxes):
        assert not any(box.intersects(other) for other in boxes[index + 1 :])


def test_scenes_have_ids_of_their_own_on_the_10_metre_grid():
    places = [place_of(seed, 512) for seed in range(300)]
    assert len({place.scene_id for place in places}) == 300
    assert place_of(7, 512).scene_id != place_of(7, 1024).scene_id
    pattern = r"S2[AB]_MSIL2A_2024\d{4}T\d{6}_N0510_R\d{3}_T08W[LMNP][ABCD]_2024\d{4}T\d{6}"
    assert all(re.fullmatch(pattern, place.scene_id) for place in places)
    assert all(place.geobox.affine.c % 10 == 0 == place.geobox.affine.f % 10 for place in places)
    assert all(28 < place.sun_elevation < 46 and 155 < place.sun_azimuth < 190 for place in places)


def test_a_whole_sentinel_2_tile_lies_where_the_real_one_does():
    left, bottom, right, top = place_of(0, 10980).geobox.boundingbox
    assert (left, bottom, right, top) == (499_980, 7_590_240, 609_780, 7_700_040)


@pytest.mark.parametrize(
    ("seed", "size", "message"),
    [
        (-1, 512, "seed is -1 but must not be negative."),
        (1, 100, "size is 100 px but must be from 128 to 10980."),
        (1, 20000, "size is 20000 px but must be from 128 to 10980."),
    ],
)
def test_impossible_worlds_are_refused(seed, size, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make_world(seed, size)


def test_the_smallest_world_can_be_made():
    assert make_world(0, 128).reflectance.shape == (4, 128, 128)


def test_random_fields_have_the_wavelengths_asked_for():
    noise = Noise(3, (256, 300))
    field = noise.field("any", 60, 20)
    assert abs(field.mean()) < 1e-5
    assert field.std() == pytest.approx(1, abs=1e-5)
    power = np.abs(np.fft.rfft(field - field.mean(axis=1, keepdims=True), axis=1)) ** 2
    wavelength = 300 / np.maximum(np.arange(power.shape[1]), 1)
    assert power[:, wavelength < 14].sum() < 0.01 * power.sum()
    np.testing.assert_array_equal(field, noise.field("any", 60, 20))
    assert not np.array_equal(field, noise.field("other", 60, 20))
