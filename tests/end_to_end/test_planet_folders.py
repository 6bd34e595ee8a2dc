"""Deliveries as people really have them: for each what is loaded, or the line that the user reads."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp

from darts.pipelines.planet import PlanetPipeline
from darts_utils.errors import ConfigError, DartsError
from darts_utils.tile import validate

TILE, ORTHOTILE = "1154318", "5937317_1154318_2021-07-28_2459"
SCENE, SCENE_3_PARTS = "20210728_201112_93_2416", "20170831_172754_101c"
S2_SCENE = "20230701T194909_20230701T195350_T11XNA"
SHAPE = (40, 52)
GRID = GeoBox(SHAPE, Affine(3, 0, 500_000, 0, -3, 7_700_000), "EPSG:32608")
DN = {"blue": 500, "green": 700, "red": 900, "nir": 2500}
EIGHT = {
    "coastal_blue": 11,
    "blue": 500,
    "green_i": 22,
    "green": 700,
    "yellow": 33,
    "red": 900,
    "rededge": 44,
    "nir": 2500,
}
SUN = {"sun_azimuth": 170.5, "sun_elevation": 33.2}


def write(path, values, grid=GRID, names=None, nodata=None, colours=None, dtype="uint16", crs=True):
    """Write a band of constant value for each number, or bands as given."""
    layers = np.stack([np.broadcast_to(np.asarray(value), grid.shape) for value in values]).astype(dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"driver": "GTiff", "count": len(layers), "height": grid.shape[0], "width": grid.shape[1]}
    with rasterio.open(
        path, "w", **options, dtype=dtype, nodata=nodata, transform=grid.affine, crs=str(grid.crs) if crs else None
    ) as file:
        file.write(layers)
        if colours is not None:
            file.colorinterp = colours
        for index, name in enumerate(names or [], start=1):
            if name is not None:
                file.set_band_description(index, name)


def udm2(clear=1, cloud=0, unusable=0):
    return [clear, 0, 0, 0, 0, cloud, 90, unusable]


def delivery(folder, image="3B_AnalyticMS_SR.tif", mask="3B_udm2.tif", metadata=SUN, **options):
    """Write a plain image with its mask and metadata; parts can be left out or replaced."""
    name = folder.name
    write(folder / f"{name}_{image}", options.pop("values", DN.values()), **options)
    if mask:
        write(folder / f"{name}_{mask}", udm2(), dtype="uint8")
    if metadata is not None:
        (folder / f"{name}_metadata.json").write_text(json.dumps(metadata))


@dataclass
class Loaded:
    """What is expected of an image."""

    sun: tuple[float, float] = (170.5, 33.2)
    quality: int = 2
    crs: int = 32608
    attributes: dict = field(default_factory=dict)
    check: Callable = lambda tile: None


def orthotile(root, **options):
    delivery(root / "tiles" / TILE / ORTHOTILE, **{"image": "BGRN_SR.tif", "mask": "udm2.tif", **options})


def scene(root, name=SCENE, **options):
    delivery(root / "scenes" / name, **options)


def thumbs(root):
    scene(root)
    for place in (root / "scenes", root / "scenes" / SCENE):
        (place / "Thumbs.db").write_bytes(b"\xd0\xcf")
    (root / "scenes" / "order.json").write_text("{}")
    (root / "scenes" / ".cache").mkdir()


def old_udm(root):
    scene(root, mask=None)
    bits = np.zeros(SHAPE)
    bits[:4], bits[4:8], bits[8:12], bits[12:16] = 1, 2, 4, 6
    write(root / "scenes" / SCENE / f"{SCENE}_3B_AnalyticMS_DN_udm.tif", [bits], dtype="uint8")


def old_udm_quality(tile):
    assert [int(row[3]) for row in tile.quality_data_mask.values[[1, 5, 9, 13, 20]]] == [0, 1, 0, 0, 2]


def all_kinds_of_quality(root):
    scene(root, mask=None)
    layers = np.zeros((8, *SHAPE))
    layers[7, 0] = 1
    for row in range(1, 6):
        layers[row, row] = 1
    layers[0, 6], layers[6] = 1, 80
    write(root / "scenes" / SCENE / f"{SCENE}_3B_udm2.tif", layers, dtype="uint8")


def udm2_quality(tile):
    assert tile.quality_data_mask.values[:8, 7].tolist() == [0, 1, 1, 1, 1, 1, 2, 2]


def mask_on(grid):
    def make(root):
        scene(root, mask=None)
        write(root / "scenes" / SCENE / f"{SCENE}_3B_udm2.tif", udm2(), grid=grid, dtype="uint8")

    return make


def one_column_unknown(tile):
    assert (tile.quality_data_mask.values[:, -1] == 0).all()
    assert (tile.quality_data_mask.values[:, :-1] == 2).all()


def shifted_by_one(tile):
    assert (tile.quality_data_mask.values[:, 0] == 0).all()
    assert (tile.quality_data_mask.values[0] == 0).all()
    assert (tile.quality_data_mask.values[1:, 1:] == 2).all()


def no_data_rows(root, nodata=None):
    lacking = 0 if nodata is None else nodata
    values = np.stack([np.full(SHAPE, number) for number in DN.values()])
    values[:, :5] = lacking
    values[0, :7] = lacking
    scene(root, values=values, nodata=nodata)


def nan_rows(tile):
    assert np.isnan(tile.red.values[:5]).all()
    assert np.isfinite(tile.red.values[5:]).all()
    assert np.isnan(tile.blue.values[5:7]).all()
    assert (tile.quality_data_mask.values[:5] == 0).all()
    assert (tile.quality_data_mask.values[5:] == 2).all(), "only where all bands lack data a pixel is invalid"


def sentinel2(values, dtype):
    def make(root):
        folder = root / "scenes" / S2_SCENE
        write(folder / f"{S2_SCENE}_SR_clip.tif", values, dtype=dtype)
        classes = np.full(SHAPE, 4)
        classes[:3] = 9
        write(folder / f"{S2_SCENE}_SCL_clip.tif", [classes], dtype="uint8")

    return make


def cloudy_rows(tile):
    assert (tile.quality_data_mask.values[:3] == 1).all()
    assert (tile.quality_data_mask.values[3:] == 2).all()
    assert tile.s2_scl.dtype == np.uint8


def in_crs(crs):
    def make(root):
        grid = GRID.to_crs(crs)
        scene(root, mask=None, grid=grid)
        write(root / "scenes" / SCENE / f"{SCENE}_3B_udm2.tif", udm2(), grid=grid, dtype="uint8")

    return make


def about_the_size(tile):
    assert 1 < tile.odc.geobox.resolution.x < 3.5, "pixels of the web Mercator file are of 1.06 m on the ground"
    assert 0.8 < tile.odc.geobox.extent.geom.area / (40 * 3 * 52 * 3) < 1.3


def xml_only(root):
    scene(root, metadata=None)
    angles = "<opt:illuminationAzimuthAngle uom='deg'>1.705e+02</opt:illuminationAzimuthAngle>"
    angles += "<opt:illuminationElevationAngle uom='deg'>33.2</opt:illuminationElevationAngle>"
    (root / "scenes" / SCENE / f"{SCENE}_3B_AnalyticMS_metadata.xml").write_text(f"<ps:a>{angles}</ps:a>")


def clip_and_whole(root):
    scene(root)
    write(root / "scenes" / SCENE / f"{SCENE}_3B_AnalyticMS_SR_clip.tif", [1, 1, 1, 1], grid=GRID[:5, :5])


def upper_case(root):
    scene(root, image="3B_AnalyticMS_SR.TIF", mask="3B_UDM2.TIF")


UNKNOWN_SUN = (float("nan"), float("nan"))
BACKWARDS = dict(reversed(EIGHT.items()))
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
LOADED = {
    "an orthotile": (orthotile, Loaded(attributes={"planet_orthotile_id": TILE, "planet_scene_id": ORTHOTILE})),
    "a clipped orthotile": (lambda r: orthotile(r, image="BGRN_SR_clip.tif", mask="udm2_clip.tif"), Loaded()),
    "a scene of 4 parts": (scene, Loaded(attributes={"planet_scene_id": SCENE})),
    "a scene of 3 parts": (lambda r: scene(r, SCENE_3_PARTS), Loaded(attributes={"planet_scene_id": SCENE_3_PARTS})),
    "a name of one's own": (lambda r: scene(r, "my_best_scene"), Loaded()),
    "clipped": (lambda r: scene(r, image="3B_AnalyticMS_SR_clip.tif", mask="3B_udm2_clip.tif"), Loaded()),
    "harmonized": (lambda r: scene(r, image="3B_AnalyticMS_SR_harmonized_clip.tif"), Loaded()),
    "upper case": (upper_case, Loaded()),
    "a clip beside the whole": (clip_and_whole, Loaded()),
    "8 bands described": (
        lambda r: scene(r, image="3B_AnalyticMS_SR_8b.tif", values=EIGHT.values(), names=list(EIGHT)), Loaded()),
    "8 bands described the other way round": (
        lambda r: scene(r, image="3B_AnalyticMS_SR_8b.tif", values=BACKWARDS.values(), names=list(BACKWARDS)),
        Loaded()),
    "8 bands by product": (lambda r: scene(r, image="3B_AnalyticMS_SR_8b.tif", values=EIGHT.values()), Loaded()),
    "4 bands described as red first": (
        lambda r: scene(r, values=[900, 700, 500, 2500], names=["Red", "Green", "Blue", "Near-Infrared"]), Loaded()),
    "4 bands coloured wrongly": (lambda r: scene(r, colours=RGB), Loaded()),
    "5 bands by product": (lambda r: orthotile(r, image="BGREN_SR.tif", values=[500, 700, 900, 44, 2500]), Loaded()),
    "an older mask": (old_udm, Loaded(check=old_udm_quality)),
    "all kinds of quality": (all_kinds_of_quality, Loaded(check=udm2_quality)),
    "a mask a pixel larger": (mask_on(GRID.pad(1)), Loaded()),
    "a mask a pixel smaller": (mask_on(GRID[:, :-1]), Loaded(check=one_column_unknown)),
    "a mask a pixel off": (mask_on(GRID.translate_pix(1, 1)), Loaded(check=shifted_by_one)),
    "GeoJSON metadata": (lambda r: scene(r, metadata={"type": "Feature", "properties": SUN}), Loaded()),
    "XML metadata": (xml_only, Loaded()),
    "no metadata": (lambda r: scene(r, metadata=None), Loaded(sun=UNKNOWN_SUN)),
    "metadata without the sun": (lambda r: scene(r, metadata={"properties": None}), Loaded(sun=UNKNOWN_SUN)),
    "Thumbs.db and other files": (thumbs, Loaded()),
    "rows without data": (no_data_rows, Loaded(check=nan_rows)),
    "another number for no data": (partial(no_data_rows, nodata=65535), Loaded(check=nan_rows)),
    "polar stereographic": (in_crs("EPSG:3413"), Loaded(crs=3413, check=about_the_size)),
    "geographic": (in_crs("EPSG:4326"), Loaded(check=about_the_size)),
    "web Mercator": (in_crs("EPSG:3857"), Loaded(check=about_the_size)),
    "Sentinel-2, scaled": (
        sentinel2([0.05, 0.07, 0.09, 0.25], "float32"), Loaded(sun=UNKNOWN_SUN, check=cloudy_rows,
        attributes={"s2_tile_id": S2_SCENE})),
    "Sentinel-2, whole numbers": (
        sentinel2(DN.values(), "uint16"), Loaded(sun=UNKNOWN_SUN, check=cloudy_rows)),
}  # fmt: skip


@pytest.fixture
def source(tmp_path):
    def make(**options):
        folders = {"orthotiles_dir": tmp_path / "tiles", "scenes_dir": tmp_path / "scenes"}
        return PlanetPipeline(model_files=[], **folders, **options).with_paths().source()

    return make


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("name", LOADED)
def test_it_is_loaded_without_a_word(name, source, tmp_path, lines):
    make, expected = LOADED[name]
    make(tmp_path)
    images = source()
    (ref,) = images.find()
    tile = validate(images.load(ref))
    assert lines() == []
    for band, number in DN.items():
        values = tile[band].values
        inner = values[np.isfinite(values)]
        assert inner.size > 0.8 * 40 * 52
        np.testing.assert_allclose(inner, number / 10_000, atol=1e-6)
    assert tile.odc.geobox.crs.epsg == expected.crs
    np.testing.assert_equal((tile.attrs["azimuth"], tile.attrs["elevation"]), expected.sun)
    assert tile.attrs["tile_id"] == ref.tile_id
    assert expected.attributes.items() <= tile.attrs.items()
    assert int(tile.quality_data_mask[30, 20]) == expected.quality
    expected.check(tile)
    assert images.footprints([ref]).tile_id.tolist() == [ref.tile_id]


@pytest.mark.parametrize(("nodata", "missing"), [(None, [5]), (0, [5]), (-999, [5, 7])])
def test_zeros_in_some_bands_of_sentinel2_are_dark_water(nodata, missing, source, tmp_path):
    values = np.stack([np.full(SHAPE, number) for number in DN.values()])
    values[3, 10:20] = 0  # water came out at or below 0 in the near infrared
    values[:, 5] = 0
    values[1, 7] = nodata or 0
    folder = tmp_path / "scenes" / S2_SCENE
    write(folder / f"{S2_SCENE}_SR_clip.tif", values, nodata=nodata, dtype="int16")
    write(folder / f"{S2_SCENE}_SCL_clip.tif", [np.full(SHAPE, 6)], dtype="uint8")
    images = source()
    (ref,) = images.find()
    tile = images.load(ref)
    assert (tile.nir.values[10:20] == 0).all()
    for mask in (np.isnan(tile.green.values), tile.quality_data_mask.values == 0):
        assert np.flatnonzero(mask.all(axis=1)).tolist() == np.flatnonzero(mask.any(axis=1)).tolist() == missing


def corrupt(root):
    scene(root)
    (root / "scenes" / SCENE / f"{SCENE}_3B_AnalyticMS_SR.tif").write_bytes(b"II*\0" + bytes(40))


def truncated(root):
    scene(root, values=[np.random.default_rng(1).integers(1, 9999, SHAPE) for _ in range(4)])
    path = root / "scenes" / SCENE / f"{SCENE}_3B_AnalyticMS_SR.tif"
    path.write_bytes(path.read_bytes()[:9000])


def broken_mask(root):
    scene(root, mask=None)
    (root / "scenes" / SCENE / f"{SCENE}_3B_udm2.tif").write_bytes(b"no")


def mask_of_3_bands(root):
    scene(root, mask=None)
    write(root / "scenes" / SCENE / f"{SCENE}_3B_udm2.tif", [1, 1, 1], dtype="uint8")


def two_images(root):
    scene(root)
    write(root / "scenes" / SCENE / f"{SCENE}_3B_AnalyticMS_SR_harmonized.tif", DN.values())


def relabelled(crs, part="SR"):
    """Write a sound image, and say of one of its files that it is in a CRS that says nothing of places on Earth."""

    def make(root):
        scene(root)
        (path,) = (root / "scenes" / SCENE).glob(f"*_{part}.tif")
        with rasterio.open(path, "r+") as file:
            file.crs = rasterio.CRS.from_user_input(crs)

    return make


LOCAL_CS = 'LOCAL_CS["unknown",UNIT["metre",1]]'


FAILING = {
    "a local CRS": (
        relabelled(LOCAL_CS),
        "{image} has the CRS 'unknown', which is Engineering CRS, neither geographic nor projected. "
        "Assign the one that it was made in.", ""),
    "a geocentric CRS": (
        relabelled("EPSG:4978"),
        "{image} has the CRS 'WGS 84', which is Geocentric CRS, neither geographic nor projected. "
        "Assign the one that it was made in.", ""),
    "a mask in a local CRS": (
        relabelled(LOCAL_CS, "udm2"),
        "{folder}/{id}_3B_udm2.tif has the CRS 'unknown', which is Engineering CRS, neither geographic nor projected. "
        "Assign the one that it was made in.", ""),
    "coordinates off the map": (
        lambda r: scene(r, grid=GeoBox(SHAPE, Affine(3, 0, 5e30, 0, -3, 7e30), "EPSG:32608")),
        "{image} lies off the map of its CRS 'WGS 84 / UTM zone 8N'. Assign the one it was made in.", ""),
    "a corrupt image": (corrupt, "{image} cannot be read (", "). Copy or download it again."),
    "a truncated image": (truncated, "{image} cannot be read (", "). Copy or download it again."),
    "a corrupt mask": (broken_mask, "{folder}/{id}_3B_udm2.tif cannot be read (", "). Copy or download it again."),
    "a mask of 3 bands": (
        mask_of_3_bands,
        "{folder}/{id}_3B_udm2.tif has 3 bands, but this kind of mask has 8 or 1. Download it again.", ""),
    "no coordinate reference system": (
        lambda r: scene(r, crs=False),
        "{image} has no coordinate reference system. Download it again, or assign one.", ""),
    "two images": (
        two_images,
        "there are several images in {folder}: {id}_3B_AnalyticMS_SR.tif, {id}_3B_AnalyticMS_SR_harmonized.tif. "
        "Keep one of them.", ""),
    "5 unknown bands": (
        lambda r: scene(r, image="3B_SR.tif", values=[1, 2, 3, 4, 5]),
        "{id}_3B_SR.tif has 5 bands without descriptions, and no product is known that they could be of. "
        "Describe blue, green, red, nir in the file.", ""),
    "4 of 8 bands, undescribed": (
        lambda r: scene(r, image="3B_AnalyticMS_SR_8b.tif"),
        "{id}_3B_AnalyticMS_SR_8b.tif has 4 bands without descriptions, and no product is known that they could be of. "
        "Describe blue, green, red, nir in the file.", ""),
    "a band described twice": (
        lambda r: scene(r, names=["blue", "blue", "red", "nir"]),
        "the bands of {id}_3B_AnalyticMS_SR.tif are described as blue, blue, red, nir, but one each of blue, green, "
        "red, nir is needed. Correct the descriptions.", ""),
    "digital numbers as decimals": (
        lambda r: scene(r, dtype="float32"),
        "{image} holds values up to 2500 after scaling, but reflectance is from 0 to 1. Decimals must be scaled; "
        "digital numbers must be whole.", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILING)
def test_it_fails_alone_with_a_line(name, source, tmp_path):
    make, begin, end = FAILING[name]
    make(tmp_path)
    images = source()
    (ref,) = images.find()
    with pytest.raises(DartsError) as caught:
        images.load(ref)
    folder = tmp_path / "scenes" / SCENE
    names = {"folder": folder, "id": SCENE, "image": folder / f"{SCENE}_3B_AnalyticMS_SR.tif"}
    line = str(caught.value)
    assert "\n" not in line
    if end:
        assert line.startswith(begin.format(**names))
        assert line.endswith(end)
    else:
        assert line == begin.format(**names)


def no_image(root):
    scene(root)
    write(root / "scenes" / "20210729_201112_93_2416" / "20210729_201112_93_2416_3B_udm2.tif", udm2(), dtype="uint8")


def stray_folder(root):
    scene(root)
    (root / "scenes" / "quicklooks").mkdir()
    (root / "scenes" / "quicklooks" / "a.png").write_bytes(b"")


def scene_among_orthotiles(root):
    scene(root)
    delivery(root / "tiles" / SCENE_3_PARTS)


def broken_metadata(root):
    scene(root, metadata=None)
    (root / "scenes" / SCENE / f"{SCENE}_metadata.json").write_text("{")


WARNED = {
    "a folder without an image": (
        no_image,
        "{root}/scenes/20210729_201112_93_2416 is skipped: there is no image in {root}/scenes/20210729_201112_93_2416: "
        "no file is called *_SR.tif or *_SR_clip.tif. Put one there, or remove it."),
    "a stray folder": (
        stray_folder,
        "{root}/scenes/quicklooks is skipped: there is no image in {root}/scenes/quicklooks: "
        "no file is called *_SR.tif or *_SR_clip.tif. Put one there, or remove it."),
    "a scene among the orthotiles": (
        scene_among_orthotiles,
        "{root}/tiles/20170831_172754_101c is skipped: orthotiles are looked for one folder deeper, in "
        "{{tile_id}}/{{scene_id}}. Scenes belong in {root}/scenes."),
    "broken metadata": (
        broken_metadata,
        "the metadata {root}/scenes/{id}/{id}_metadata.json cannot be read (Expecting property name enclosed in double "
        "quotes: line 1 column 2 (char 1))"),
    "no mask": (
        lambda r: scene(r, mask=None),
        "{root}/scenes/{id} has no mask (udm2, udm or SCL): clouds are unknown, all is of low quality"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNED)
def test_the_user_reads_one_line_and_the_rest_is_loaded(name, source, tmp_path, lines):
    make, line = WARNED[name]
    make(tmp_path)
    images = source()
    (ref,) = images.find()
    assert ref.tile_id == SCENE
    tile = images.load(ref)
    assert lines() == [line.format(root=tmp_path, id=SCENE)]
    assert int(tile.quality_data_mask[30, 20]) == (1 if name == "no mask" else 2)


def test_there_are_enough_variants():
    assert len(LOADED) + len(FAILING) + len(WARNED) >= 25


def test_where_results_go_and_the_years(source, tmp_path):
    orthotile(tmp_path)
    scene(tmp_path)
    refs = source().find()
    assert [(ref.tile_id, str(ref.output_folder), ref.year) for ref in refs] == [
        (ORTHOTILE, f"{TILE}/{ORTHOTILE}", 2021),
        (SCENE, SCENE, 2021),
    ]


def test_an_image_in_two_places_is_told_apart_by_the_place(source, tmp_path):
    orthotile(tmp_path)
    shutil.copytree(tmp_path / "tiles" / TILE, tmp_path / "tiles" / "0000001")
    shutil.copytree(tmp_path / "tiles" / TILE / ORTHOTILE, tmp_path / "scenes" / ORTHOTILE)
    images = source()
    refs = images.find()
    assert [ref.tile_id for ref in refs] == [f"0000001/{ORTHOTILE}", f"{TILE}/{ORTHOTILE}", ORTHOTILE]
    assert [images.load(ref).attrs["tile_id"] for ref in refs] == [ref.tile_id for ref in refs]


def test_both_kinds_in_one_folder(source, tmp_path, lines):
    orthotile(tmp_path)
    delivery(tmp_path / "tiles" / SCENE)
    images = PlanetPipeline(orthotiles_dir=tmp_path / "tiles", scenes_dir=tmp_path / "tiles").with_paths().source()
    assert [ref.tile_id for ref in images.find()] == [ORTHOTILE, SCENE]
    assert lines() == []


def test_a_plan_goes_on_without_the_outline_of_an_image_that_will_fail(source, tmp_path, lines):
    relabelled(LOCAL_CS)(tmp_path)
    scene(tmp_path, SCENE_3_PARTS)
    images = source()
    refs = images.find()
    assert images.footprints(refs).tile_id.tolist() == [SCENE_3_PARTS]
    assert list(images.sizes(refs)) == [SCENE_3_PARTS]
    (line,) = lines()
    assert line.startswith(f"the outline of {SCENE} is unknown: {tmp_path}")


def test_ids_select_and_those_that_are_nowhere_are_named(source, tmp_path, lines):
    orthotile(tmp_path)
    no_image(tmp_path)
    assert [ref.tile_id for ref in source(image_ids=[SCENE, "nowhere", "absent"]).find()] == [SCENE]
    assert lines() == [f"image_ids: not found in {tmp_path / 'tiles'} and {tmp_path / 'scenes'}: absent, nowhere"]
    with pytest.raises(ConfigError, match=r"^image_ids names nowhere, but there is no such folder in "):
        source(image_ids=["nowhere"]).find()


def test_folders_without_any_image_are_one_line(source, tmp_path):
    (tmp_path / "tiles").mkdir()
    message = (
        f"there is no image in {tmp_path / 'tiles'} (orthotiles, in {{tile_id}}/{{scene_id}}) and "
        f"{tmp_path / 'scenes'} (scenes, in {{scene_id}}). Put images there, or name other folders."
    )
    with pytest.raises(ConfigError) as caught:
        source().find()
    assert str(caught.value) == message


def test_no_folder_at_all(source, tmp_path):
    message = (
        f"there are no Planet images: neither {tmp_path / 'tiles'} (orthotiles) nor {tmp_path / 'scenes'} (scenes) is "
        "a folder. Name one with --orthotiles-dir or --scenes-dir."
    )
    with pytest.raises(ConfigError) as caught:
        source().find()
    assert str(caught.value) == message


def test_real_metadata_is_read(shared_data):
    from darts_acquisition.optical.local_files.sun import sun_angles

    item = shared_data / "planet" / "data_item_20220125_075509_67_1061.json"
    assert sun_angles([item]) == {"azimuth": 148, "elevation": 57.8}
    folder = shared_data / "planet" / "20170831_172754_101c"
    assert sun_angles([folder / "20170831_172754_101c.json"]) == {"azimuth": 145.4, "elevation": 65.1}
    xml = folder / "20170831_172754_101c_3B_AnalyticMS_metadata.xml"
    assert sun_angles([xml])["azimuth"] == pytest.approx(145.42, abs=0.01)
    assert sun_angles([folder / "collection.json", xml])["elevation"] == pytest.approx(65.12, abs=0.01)


def test_a_real_scene_is_read(shared_data, source, tmp_path):
    """An older 4-band product on oblong pixels, coloured wrongly, with the older mask."""
    real = shared_data / "planet" / SCENE_3_PARTS
    folder = tmp_path / "scenes" / SCENE_3_PARTS
    shutil.copytree(real, folder)
    product = f"{SCENE_3_PARTS}_3B_AnalyticMS"
    (folder / f"{product}.tif").rename(folder / f"{product}_SR.tif")
    images = source()
    (ref,) = images.find()
    tile = validate(images.load(ref))
    assert tile.odc.geobox.crs.epsg == 32615
    assert (tile.attrs["azimuth"], ref.year) == (145.4, 2017)
    with rasterio.open(folder / f"{product}_SR.tif") as file:
        for index, band in enumerate(DN, start=1):
            raw = file.read(index).astype(float)
            assert float(np.nanmean(tile[band])) == pytest.approx(raw[raw > 0].mean() / 10_000, rel=0.02)
    assert 0.5 < float((tile.quality_data_mask == 2).mean()) < 0.8


def test_the_public_functions_agree(tmp_path):
    from darts_acquisition import get_planet_geometry, load_planet_masks, load_planet_scene, load_planet_tile

    no_data_rows(tmp_path)
    folder = tmp_path / "scenes" / SCENE
    whole = load_planet_tile(folder, with_udm=True)
    assert whole.equals(load_planet_scene(folder).assign(load_planet_masks(folder).data_vars))
    assert whole.planet_udm.shape == (8, *SHAPE)
    assert get_planet_geometry(folder) == whole.odc.geobox.extent


@pytest.mark.parametrize(
    ("name", "kind"),
    [(ORTHOTILE, "orthotile"), (SCENE, "scene"), (SCENE_3_PARTS, "scene"), (Path("x") / SCENE, "scene")],
)
def test_names_tell_the_kind(name, kind):
    from darts_acquisition import parse_planet_type

    assert parse_planet_type(name) == kind


def test_other_names_are_refused():
    from darts_acquisition import parse_planet_type

    with pytest.raises(DartsError) as caught:
        parse_planet_type("quicklooks")
    assert str(caught.value) == (
        "quicklooks is no name of a Planet image. Orthotiles are called NNNNNNN_NNNNNNN_YYYY-MM-DD_XXXX, scenes "
        "YYYYMMDD_HHMMSS_NN_XXXX or YYYYMMDD_HHMMSS_XXXX. Rename the folder."
    )
