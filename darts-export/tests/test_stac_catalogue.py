"""The STAC files of a catalogue, read by the library of the format, and beside the rasters that they tell of."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from published_catalogue import CARD, FACTS, map_tiles, models, write_all, write_mosaic
from pyproj import Transformer
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from darts_export.publish.checking import schemas
from darts_export.publish.stac import names
from darts_export.publish.stac.extent import box_around
from darts_export.publish.stac.facts import Band, ModelFile
from darts_export.publish.stac.model_items import mlm_name_of
from darts_export.publish.stac.rasters import describe_raster, outline_of
from darts_export.publish.stac.write import write_stac
from darts_utils.errors import ConfigError, DataError, MissingDataError

FOLDER = Path(schemas.__file__).parents[1] / "schemas"
NEAREST = {names.MLM: schemas.MLM_AT_HAND}


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_all(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def catalogue(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "catalogue"))


@pytest.fixture
def validator() -> JsonSchemaSTACValidator:
    """The library's own validator, with the schemas of others in its store and no way to fetch any."""
    validator = JsonSchemaSTACValidator()
    for uri, name in schemas.FILES.items():
        validator.schema_cache[uri] = json.loads((FOLDER / name).read_text())
    return validator


def read(folder: Path, path: str) -> dict:
    return json.loads((folder / path).read_text())


def stac_files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in [folder / "catalog.json", *folder.glob("stac/*/*.json")]
    }


def test_every_object_is_valid_by_the_librarys_own_validator(sound, validator):
    kinds = {"Catalog": "CATALOG", "Collection": "COLLECTION", "Feature": "ITEM"}
    seen = []
    for path in stac_files(sound):
        said = read(sound, path)
        said["stac_extensions"] = [NEAREST.get(uri, uri) for uri in said.get("stac_extensions", [])]
        kind = pystac.STACObjectType[kinds[said["type"]]]
        seen += validator.validate(said, kind, said["stac_version"], said["stac_extensions"])
    assert set(seen) >= {names.PROJECTION, names.RASTER, names.FILE_INFO, names.PROCESSING, schemas.MLM_AT_HAND}
    assert sum("item-spec" in uri for uri in seen) == 5


def test_the_library_walks_from_the_root_to_all_items_and_back(sound):
    root = pystac.Catalog.from_file(str(sound / "catalog.json"))
    maps, models_ = root.get_child("slumps-test-map"), root.get_child("slumps-test-models")
    items = {item.id: item for item in root.get_items(recursive=True)}
    assert sorted(items) == ["2021-x-12y+11", "2021-x-21y-02", "2022-x-12y+11", "2022-x-21y-02", "tiny"]
    item = items["2022-x-21y-02"]
    assert (item.get_root(), item.get_parent(), item.get_collection()) == (root, maps, maps)
    (model,) = [link for link in item.get_links("derived_from") if "mlm:name" in link.extra_fields]
    assert model.resolve_stac_object().target.id == items["tiny"].id
    assert items["tiny"].get_parent() == models_
    for each in items.values():
        for asset in each.assets.values():
            assert Path(asset.get_absolute_href()).is_file()


def test_all_links_inside_are_relative(sound):
    for path in stac_files(sound):
        said = read(sound, path)
        hrefs = [link["href"] for link in said["links"]] + [one["href"] for one in said.get("assets", {}).values()]
        outside = [href for href in hrefs if "://" in href]
        assert set(outside) <= {FACTS.licence_href, f"https://doi.org/{FACTS.doi}", *(
            f"https://example.org/items/S2A_{year}_a" for year in (2021, 2022)
        )}  # fmt: skip
        assert all(href.startswith(("./", "../")) for href in hrefs if href not in outside)


def test_an_item_tells_what_its_raster_is(sound):
    asset = read(sound, "stac/map/2021-x-21y-02.json")["assets"]["probability"]
    with rasterio.open(sound / "mosaics/2021/probability-2021-x-21y-02.tif") as raster:
        values = raster.read(1, masked=True).compressed().astype(np.float64)
        assert asset["proj:shape"] == list(raster.shape)
        assert asset["proj:transform"] == list(raster.transform)[:6]
        assert asset["proj:bbox"] == list(raster.bounds)
        assert (asset["proj:code"], asset["data_type"], asset["nodata"]) == ("EPSG:3413", "uint8", 255)
        n_pixels = raster.width * raster.height
    (band,) = asset["bands"]
    assert (band["name"], band["unit"]) == ("probability", "%")
    found = {"minimum": values.min(), "maximum": values.max(), "mean": values.mean(), "stddev": values.std()}
    assert {key: band["statistics"][key] for key in found} == pytest.approx(found, abs=1e-6)
    assert band["statistics"]["count"] == values.size
    assert band["statistics"]["valid_percent"] == pytest.approx(100 * values.size / n_pixels, abs=1e-6)
    assert asset["raster:spatial_resolution"] == 100


def test_an_item_says_when_its_images_were_taken_and_how_it_was_made(sound):
    said = read(sound, "stac/map/2021-x-21y-02.json")["properties"]
    assert (said["datetime"], said["start_datetime"]) == (None, "2021-07-01T20:09:09Z")
    assert said["end_datetime"] == "2021-08-03T20:00:00Z"
    assert (said["processing:level"], said["processing:software"]) == ("L4", {"DARTS": "0.2.0"})
    assert said["processing:lineage"] == "Mean of what tiny found in 2 images of 2021"
    assert said["darts:images"] == ["S2A_2021_a", "S2B_2021_b"]


def test_a_tile_across_the_antimeridian_is_cut_along_it(sound):
    said = read(sound, "stac/map/2021-x-12y+11.json")
    parts = [shapely.box(*part.bounds) for part in shapely.geometry.shape(said["geometry"]).geoms]
    west, south, east, north = said["bbox"]
    assert len(parts) == 2
    assert west > 179 > -179 > east
    assert (south, north) == (min(p.bounds[1] for p in parts), max(p.bounds[3] for p in parts))


def test_the_outline_of_a_tile_follows_its_edges_on_the_ground(sound):
    said = read(sound, "stac/map/2021-x-21y-02.json")
    outline = shapely.geometry.shape(said["geometry"])
    back = Transformer.from_crs("EPSG:4326", "EPSG:3413", always_xy=True)
    drawn = shapely.transform(outline, lambda points: np.column_stack(back.transform(*points.T)))
    square = shapely.box(*said["assets"]["probability"]["proj:bbox"])
    assert drawn.symmetric_difference(square).area / square.area < 1e-5
    assert outline.exterior.is_ccw


def test_the_outline_of_a_large_tile_bends_with_its_edges():
    bounds = (-2_100_000, -500_000, -1_800_000, -200_000)
    outline = outline_of(bounds, "EPSG:3413")
    forth = Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True)
    dense = shapely.segmentize(shapely.box(*bounds), 500)
    truth = shapely.transform(dense, lambda points: np.column_stack(forth.transform(*points.T)))
    assert outline.symmetric_difference(truth).area / truth.area < 1e-3


@pytest.mark.parametrize(
    ("name", "expected"), [("tiny", "tiny"), ("a b", "a b"), ("2 & a", "model-2 - a"), ("x", "model-x"), ("&", "model")]
)
def test_a_model_has_a_name_that_the_extension_allows(name, expected):
    pattern = json.loads((FOLDER / "mlm-1.4.0.json").read_text())["$defs"]["mlm:name"]["pattern"]
    assert mlm_name_of(name) == {"mlm:name": expected}
    assert re.search(pattern, expected)


def test_collections_hold_what_their_items_hold(sound):
    said = read(sound, "stac/map/collection.json")
    canada, over_180 = (read(sound, f"stac/map/2021-{cell}.json")["bbox"] for cell in ("x-21y-02", "x-12y+11"))
    (whole,) = said["extent"]["spatial"]["bbox"]
    assert whole == list(FACTS.box)
    assert box_around([canada, over_180, whole]) == whole
    assert said["extent"]["temporal"]["interval"] == [["2021-07-01T20:09:09Z", "2022-08-03T20:00:00Z"]]
    assert said["summaries"] == {
        "darts:year": [2021, 2022],
        "processing:level": ["L4"],
        "proj:code": ["EPSG:3413"],
        "raster:spatial_resolution": [100.0],
    }
    assert set(said["item_assets"]) == {"probability", "looks"}
    assert said["assets"]["slumps"]["href"] == "../../inventory/slumps/"
    assert said["assets"]["slumps"]["type"] == "application/vnd.apache.parquet"
    assert said["assets"]["thumbnail"]["roles"] == ["thumbnail"]
    assert said["updated"] == "2026-11-28T12:00:00Z"


def test_a_model_says_what_its_card_says(sound):
    said = read(sound, "stac/models/tiny.json")
    told = said["properties"]
    assert told["mlm:name"] == "tiny"
    assert told["mlm:architecture"] == "Unet with encoder resnet18"
    assert (told["mlm:framework"], told["mlm:framework_version"]) == ("PyTorch", "2.9.0+cpu")
    (given,), (result,) = told["mlm:input"], told["mlm:output"]
    assert given["bands"] == ["red", "nir", "slope"] == [band["name"] for band in told["bands"]]
    assert given["input"]["shape"] == [-1, 3, 64, 64]
    assert given["value_scaling"][2] == {"type": "min-max", "minimum": 0.0, "maximum": 90.0}
    assert result["post_processing_function"]["expression"] == "sigmoid(logit / 1.25)"
    assert told["bands"][0]["statistics"] == {"mean": 0.2, "stddev": 0.1}
    assert (told["mlm:pretrained"], told["mlm:pretrained_source"]) == (False, None)
    assert told["darts:model_id"] == CARD["model_id"]
    assert said["assets"]["model"]["roles"] == ["mlm:model", "mlm:weights"]
    assert said["assets"]["model"]["mlm:artifact_type"] == "safetensors.torch.save_file"
    assert shapely.geometry.shape(said["geometry"]).equals(shapely.geometry.shape(CARD["domain"]))
    assert said["bbox"] == [100.0, 69.0, -138.0, 71.25]


WEIGHTS = {"safetensors.torch.save_file"}
YEARS = (datetime(2019, 7, 1, tzinfo=UTC), datetime(2020, 8, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("change", "assets"),
    [
        ({"path": None}, set()),
        ({"path": None, "href": "https://example.org/tiny.pt"}, {"torch.save"}),
        ({"card": {key: CARD[key] for key in ("architecture", "bands")}}, WEIGHTS),
        ({"name": "2 & a"}, WEIGHTS),
        ({"card": {**CARD, "domain": None, "licence": "as you like", "created": "yesterday"}}, WEIGHTS),
        ({"card": {**CARD, "training": {"began_with": {"name": "older"}}}}, WEIGHTS),
        ({"trained_on": YEARS}, WEIGHTS),
        ({"card": {**CARD, "bands": [{"name": "red", "low": None, "high": None}]}}, WEIGHTS),
    ],
)  # fmt: skip
def test_a_model_of_which_less_is_known_is_valid_too(catalogue, validator, change, assets):
    model = replace(models()[0], **change)
    tiles = [replace(tile, models=(model.name,)) for tile in map_tiles((2021,))]
    write_stac(catalogue, FACTS, tiles, [model])
    said = read(catalogue, f"stac/models/{model.name}.json")
    said["stac_extensions"] = [NEAREST.get(uri, uri) for uri in said["stac_extensions"]]
    validator.validate(said, pystac.STACObjectType.ITEM, "1.1.0", said["stac_extensions"])
    assert {asset["mlm:artifact_type"] for asset in said["assets"].values()} == assets


def test_equal_facts_give_equal_bytes_in_whatever_order_they_come(sound, catalogue):
    for path in stac_files(catalogue):
        (catalogue / path).unlink()
    write_stac(catalogue, FACTS, reversed(map_tiles()), models())
    assert stac_files(catalogue) == stac_files(sound)


def test_a_second_publication_touches_nothing(catalogue):
    before = {path: (catalogue / path).stat() for path in stac_files(catalogue)}
    written = write_stac(catalogue, FACTS, map_tiles(), models())
    assert (written.changed, written.removed) == ([], [])
    assert sorted(written.kept) == sorted(before)
    assert {p: ((catalogue / p).stat().st_mtime_ns, (catalogue / p).stat().st_ino) for p in before} == {
        p: (stat.st_mtime_ns, stat.st_ino) for p, stat in before.items()
    }


def test_only_what_differs_is_written_again(catalogue):
    write_mosaic(catalogue / "mosaics/2022/looks-2022-x-21y-02.tif", (-2_100_000, -200_000), seed=99)
    written = write_stac(catalogue, FACTS, map_tiles(), models())
    assert written.changed == ["stac/map/2022-x-21y-02.json"]


def test_items_that_are_not_published_any_more_are_removed(catalogue):
    (catalogue / "stac/map/notes.txt").write_text("kept")
    written = write_stac(catalogue, FACTS, map_tiles((2022,)), models())
    assert written.removed == ["stac/map/2021-x-12y+11.json", "stac/map/2021-x-21y-02.json"]
    assert written.changed == ["stac/map/collection.json"]
    assert (catalogue / "stac/map/notes.txt").exists()
    assert not (catalogue / "stac/map/2021-x-21y-02.json").exists()


def test_a_catalogue_without_tiles_or_models_is_valid(tmp_path, validator):
    write_stac(tmp_path, replace(FACTS, layers=(), box=None), [], [])
    for path in ("stac/map/collection.json", "stac/models/collection.json"):
        said = read(tmp_path, path)
        said["stac_extensions"] = [NEAREST.get(uri, uri) for uri in said["stac_extensions"]]
        validator.validate(said, pystac.STACObjectType.COLLECTION, "1.1.0", said["stac_extensions"])
        assert said["extent"]["spatial"]["bbox"] == [[-180, -90, 180, 90]]


def test_statistics_leave_out_what_is_no_number_and_count_blocks_alike(tmp_path):
    rng = np.random.default_rng(3)
    values = rng.normal(1e6, 1, (130, 70)).astype(np.float32)
    values[::7] = np.nan
    with rasterio.open(
        tmp_path / "x.tif", "w", driver="GTiff", width=70, height=130, count=2, dtype="float32", nodata=np.nan,
        crs="EPSG:4326", transform=rasterio.Affine(0.01, 0, 100, 0, -0.005, 70), tiled=True,
        blockxsize=16, blockysize=32,
    ) as raster:  # fmt: skip
        raster.write(values, 1)
        raster.write(np.full_like(values, np.nan), 2)
        raster.scales = (1.0, 0.5)
    bands = (Band(name="a", description="A"), Band(name="b", description="B"))
    fields = describe_raster(tmp_path / "x.tif", bands).fields
    known = values[np.isfinite(values)].astype(np.float64)
    assert fields["bands"][0]["statistics"]["stddev"] == pytest.approx(known.std(), abs=2e-6)
    assert fields["bands"][0]["statistics"]["mean"] == pytest.approx(known.mean(), abs=1e-6)
    assert fields["bands"][1]["statistics"] == {"count": 0, "valid_percent": 0.0}
    assert (fields["bands"][1]["raster:scale"], fields["nodata"]) == (0.5, "nan")
    assert fields["raster:spatial_resolution"] == pytest.approx(463, rel=0.01)  # root of 557.8 by 381 to 385 m


def with_path(tile, path):
    return replace(tile, rasters=(replace(tile.rasters[0], path=path),))


REFUSED = [
    (
        lambda tile: replace(tile, models=("other",)), ConfigError,
        "the tile 2021-x-21y-02 names the model other, which is not given. Give its card.",
    ),
    (
        lambda tile: replace(tile, images=()), DataError,
        "the tile 2021-x-21y-02 has no rasters or no images. Publish tiles that were mapped.",
    ),
    (
        lambda tile: replace(tile, cell="../x"), DataError,
        "'2021-../x' cannot name an item of a catalogue: it is no name of a folder on every system. "
        "Use letters, digits, '_', '-', '.'.",
    ),
    (
        lambda tile: with_path(tile, "../x.tif"), DataError,
        "'../x.tif' is no path of a file in the catalogue. Give it from the catalogue's folder, with `/`.",
    ),
    (
        lambda tile: with_path(tile, "x.tif"), MissingDataError,
        "there is no x.tif in FOLDER. Write it before the catalogue.",
    ),
    (
        lambda tile: with_path(tile, "README.md"), DataError,
        "FOLDER/README.md cannot be read ('FOLDER/README.md' not recognized as being in a supported file format.). "
        "Write it again.",
    ),
    (
        lambda tile: replace(tile, rasters=(replace(tile.rasters[0], bands=()),)), DataError,
        "FOLDER/mosaics/2021/probability-2021-x-21y-02.tif has 1 bands, but 0 are described. Describe each.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "message"), REFUSED)
def test_what_cannot_be_described_is_refused(catalogue, change, kind, message):
    tile = change(map_tiles()[0])
    with pytest.raises(kind) as refused:
        write_stac(catalogue, FACTS, [tile], models())
    assert str(refused.value) == message.replace("FOLDER", str(catalogue))


def test_an_id_that_is_given_twice_is_refused(catalogue):
    with pytest.raises(ConfigError) as refused:
        write_stac(catalogue, FACTS, [*map_tiles(), map_tiles()[0]], models())
    expected = "2021-x-21y-02 is given twice, or is the name of the collection. Give each item a name of its own."
    assert str(refused.value) == expected
    with pytest.raises(ConfigError, match="collection is given twice, or is the name of the collection"):
        write_stac(catalogue, FACTS, [], [ModelFile(name="collection", card=CARD)])


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({}, "does not say its architecture and bands. Pack the model again."),
        ({"domain": {"type": "Point", "coordinates": [1, 2]}}, "has a Point as its domain. Give polygons."),
        ({"domain": {"type": "Polygon", "coordinates": [1]}}, "has a domain that is no outline. Pack the model again."),
    ],
)
def test_a_card_that_says_too_little_is_refused(tmp_path, card, message):
    with pytest.raises(DataError) as refused:
        write_stac(tmp_path, FACTS, [], [ModelFile(name="tiny", card={**CARD, **card} if card else {})])
    assert str(refused.value) == f"the card of tiny {message}"
