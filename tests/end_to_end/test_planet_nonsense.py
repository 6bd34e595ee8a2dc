"""Planet's files with values, scales, grids and masks that are none: each is refused in a line, or said."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from darts.pipelines.planet import PlanetPipeline
from darts_acquisition import load_planet_tile
from darts_utils.errors import DataError


@pytest.fixture
def scene(make_planet_scene, tmp_path):
    return make_planet_scene(tmp_path / "scenes")


def rewritten(path, change=lambda values: values, **profile):
    """Write a raster anew with other values or another profile; return its path."""
    with rasterio.open(path) as source:
        values, kept = change(source.read()), source.profile
    with rasterio.open(path, "w", **{**kept, "dtype": values.dtype, **profile}) as raster:
        raster.write(values)
    return path


def image(folder):
    return next(folder.glob("*_SR.tif"))


def mask(folder):
    return next(folder.glob("*_udm2.tif"))


def mapping(scenes, model):
    return PlanetPipeline(
        scenes_dir=scenes, model_files=[model], export_bands=["binarized"], patch_size=64, overlap=16, device="cpu",
        mask_erosion_size=2, offline=True,
    )  # fmt: skip


def refused(folder, message):
    with pytest.raises(DataError) as caught:
        load_planet_tile(folder)
    assert str(caught.value) == message


def test_complex_numbers_are_no_reflectance(scene):
    path = rewritten(image(scene), lambda values: values.astype(np.complex64))
    refused(scene, f"{path} holds complex64 but must hold plain numbers. Write it anew.")


@pytest.mark.parametrize(
    ("scale", "offset", "said"),
    [
        (0, 0, "scale 0 and the offset 0"),
        (1e-300, 0, "scale 1e-300 and the offset 0"),
        (-1e-4, 0, "scale -0.0001 and the offset 0"),
        (np.nan, 0, "scale nan and the offset 0"),
        (1e-4, -np.inf, "scale 0.0001 and the offset -inf"),
        (1e-4, -1e300, "scale 0.0001 and the offset -1e+300"),
    ],
)
def test_a_scale_that_is_none_is_refused(scene, scale, offset, said):
    path = image(scene)
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (scale,) * 4, (offset,) * 4
    refused(scene, f"{path} gives its values the {said}, which make no reflectance. Correct them in the file.")


@pytest.mark.parametrize("missing", [0, -9999, np.nan])
def test_an_image_that_lacks_a_whole_band_is_refused(scene, missing):
    def without_red(values):
        changed = values.astype(np.float32 if np.isnan(missing) else np.int16) / (10_000 if np.isnan(missing) else 1)
        changed[2] = missing
        return changed if np.isnan(missing) else changed.astype(np.int16)

    path = rewritten(image(scene), without_red, nodata=missing)
    refused(scene, f"{path} has no data anywhere in red, but in other bands. Download it again.")


@pytest.mark.parametrize("missing", [0, -9999])
def test_ground_without_a_band_that_the_model_reads_is_said_and_not_counted_as_observed(
    scene, make_model, caplog, missing
):
    run = mapping(scene.parent, make_model(scene.parent.parent / "small.pt", ["red", "nir"]))
    run.run()
    (path,) = scene.parents[1].glob("output/**/darts_inference.json")
    before = json.loads(path.read_text())

    def half_of_red(values):
        changed = values.astype(np.int16)
        changed[2, : values.shape[1] // 2] = missing
        return changed

    rewritten(image(scene), half_of_red, nodata=missing)
    with caplog.at_level(logging.WARNING):
        assert replace(run, overwrite=True).run().exit_code == 0
    after = json.loads(path.read_text())
    assert after["features_missing"] == pytest.approx(0.5, abs=0.05)
    assert after["observed_km2"] == pytest.approx(before["observed_km2"] * (1 - after["features_missing"]))
    assert f"{scene.name}: features are missing on {100 * after['features_missing']:.1f} % of the mapped ground" in (
        caplog.messages
    )


def test_an_image_that_claims_more_pixels_than_memory_holds_is_refused(scene):
    grid = {"crs": "EPSG:32608", "transform": rasterio.Affine(3, 0, 500_000, 0, -3, 7_700_000)}
    shape = {"count": 4, "width": 40_000, "height": 40_000, "dtype": "uint16", "tiled": True}
    with rasterio.open(image(scene), "w", driver="GTiff", SPARSE_OK=True, BIGTIFF="YES", **grid, **shape):
        pass
    refused(
        scene,
        f"{image(scene)} has 40000 x 40000 pixels, more than the 1,000,000,000 that an image may have. "
        "Cut it into tiles.",
    )


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_an_image_without_a_transform_is_not_mapped_at_the_origin_of_its_crs(scene):
    path = rewritten(image(scene), transform=rasterio.Affine.identity())
    refused(scene, f"{path} has no place on the map: its transform is missing. Download it again.")


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.float32, np.nan), (np.float32, 0.5), (np.int16, -1), (np.uint16, 256)], ids=str
)
def test_a_mask_of_values_that_are_no_classes_is_refused(scene, dtype, value):
    path = rewritten(mask(scene), lambda values: np.full(values.shape, value, dtype))
    type_name = np.dtype(dtype).name
    refused(scene, f"{path} holds {type_name} values that are no classes from 0 to 255. Download it again.")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"sun_azimuth": 1' + "0" * 400 + ', "sun_elevation": 40}'])
def test_metadata_that_no_reader_should_follow_costs_the_sun_only(scene, text):
    next(scene.glob("*.json")).write_text(text)
    assert np.isnan(load_planet_tile(scene).attrs["azimuth"])


def test_an_image_of_which_nothing_is_mapped_says_so(scene, make_model, caplog):
    for path in scene.glob("*.tif"):
        rewritten(path, lambda values: values[:, :4, :4], width=4, height=4)
    model = make_model(scene.parent.parent / "small.pt", ["red", "nir"])
    run = mapping(scene.parent, model)
    with caplog.at_level(logging.WARNING):
        assert run.run().exit_code == 0
    said = f"{scene.name}: nothing of it is mapped, for no ground is good enough far from borders and clouds"
    assert caplog.messages.count(said) == 1


def test_a_link_to_an_image_that_is_gone_is_said(scene, make_model, caplog):
    (scene.parent / "20240814_203954_07_1007").symlink_to("not-mounted")
    model = make_model(scene.parent.parent / "small.pt", ["red", "nir"])
    run = mapping(scene.parent, model)
    with caplog.at_level(logging.WARNING):
        assert run.run().count("success") == 1
    assert any("20240814_203954_07_1007 is skipped" in message for message in caplog.messages)
