"""Real Sentinel-2 bands, on their own grids, through the command to all products; real slumps on real terrain."""

import json
import zipfile

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from darts_acquisition.catalog.fields import usable_item
from darts_acquisition.optical.earthsearch import EarthSearchScenes
from darts_acquisition.optical.sentinel2.scene_store import SceneStore
from darts_acquisition.optical.sentinel2.scenes import load_scene

OPTICAL = ["red", "green", "blue", "nir", "ndvi"]
PRODUCTS = ["probabilities", "binarized", "polygonized", "extent", "thumbnail", "optical", "ndvi", "metadata"]
FILES = {
    "probabilities.tif",
    "binarized.tif",
    "prediction_segments.gpkg",
    "prediction_segments.parquet",
    "prediction_extent.gpkg",
    "prediction_extent.parquet",
    "prediction_density.parquet",
    "prediction_observed.parquet",
    "thumbnail.jpg",
    "optical.tif",
    "ndvi.tif",
    "darts_inference.json",
}


def read(path):
    with rasterio.open(path) as file:
        return file.read(1), GeoBox(file.shape, file.transform, file.crs.to_wkt())


def brought_to(classes, shape):
    """Return classes on a finer grid by nearest neighbour."""
    rows = np.arange(shape[0]) * classes.shape[0] // shape[0]
    columns = np.arange(shape[1]) * classes.shape[1] // shape[1]
    return classes[rows][:, columns]


@pytest.fixture
def cog_scene(shared_data, tmp_path):
    """100 m bands of baseline 02.14, in the store under the full product id."""
    folder = shared_data / "sentinel2" / "S2A_29RKH_20200219_0_L2A"
    item = json.loads((folder / "S2A_29RKH_20200219_0_L2A.json").read_text())["properties"]
    scene_id = item["s2:product_uri"].removesuffix(".SAFE")
    numbers, grid = {}, None
    for band in ("B02", "B03", "B04", "B08"):
        numbers[f"{band}_10m"], grid = read(folder / f"{band}.tif")
    numbers["SCL_20m"] = brought_to(read(folder / "SCL.tif")[0], grid.shape)
    return stage(tmp_path, scene_id, numbers, grid, item), numbers, grid, 0.0


def test_an_item_of_earth_search_is_read_as_it_is(shared_data):
    folder = shared_data / "sentinel2" / "S2A_29RKH_20200219_0_L2A"
    item = usable_item(json.loads((folder / "S2A_29RKH_20200219_0_L2A.json").read_text()))
    catalog = EarthSearchScenes()
    catalog.check_bands(item, catalog.bands)
    grid = catalog.grid(item)
    assert (grid.shape, grid.crs.epsg, grid.affine.c, grid.affine.f) == ((10980, 10980), 32629, 199980, 2800020)
    take = catalog.take(item)
    assert take.seen == ("S2A", "20200219T112111", "037", "29RKH")
    assert (take.baseline, take.preferred) == (2.14, 0)
    assert catalog.every_band(item) == [
        "blue", "coastal", "green", "nir", "nir08", "nir09", "red", "rededge1", "rededge2", "rededge3", "swir16",
        "swir22",
    ]  # fmt: skip


def test_what_earth_search_served_is_the_scene(cog_scene, tmp_path, shared_data):
    """The same files by the rules of that source: no offset before baseline 04.00, whatever the flag says."""
    _, numbers, grid, _ = cog_scene
    scene_id = "S2A_29RKH_20200219_0_L2A"
    item = json.loads((shared_data / "sentinel2" / scene_id / f"{scene_id}.json").read_text())
    names = {"B02_10m": "blue", "B03_10m": "green", "B04_10m": "red", "B08_10m": "nir", "SCL_20m": "scl"}
    bands = {names[name]: wrap_xr(values, grid) for name, values in numbers.items()}
    SceneStore(tmp_path / "cogs", "earthsearch").write(scene_id, bands, item["properties"])
    tile = load_scene(EarthSearchScenes(), scene_id, store=tmp_path / "cogs", offline=True)
    seen = (numbers["SCL_20m"] > 0) & (numbers["B04_10m"] > 0)
    np.testing.assert_allclose(tile.red.values[seen], numbers["B04_10m"][seen] * 1e-4, atol=1e-6)
    assert tile.attrs["processing_baseline"] == "02.14"


@pytest.fixture
def safe_scene(shared_data, tmp_path):
    """JPEG 2000 bands at 60 m of baseline 04.00, B8A standing for B08."""
    (folder,) = (shared_data / "sentinel2").glob("S2A_MSIL2A_*.SAFE")
    numbers, grid = {}, None
    for band, name in {
        "B02": "B02_10m",
        "B03": "B03_10m",
        "B04": "B04_10m",
        "B8A": "B08_10m",
        "SCL": "SCL_20m",
    }.items():
        (file,) = folder.rglob(f"*_{band}_60m.jp2")
        numbers[name], grid = read(file)
    angles = {"view:sun_azimuth": 172.840206897213, "view:sun_elevation": 90 - 57.820574357679}
    return stage(tmp_path, folder.stem, numbers, grid, angles), numbers, grid, -0.1


def stage(tmp_path, scene_id, numbers, grid, attributes):
    bands = {name: wrap_xr(values, grid) for name, values in numbers.items()}
    SceneStore(tmp_path / "input" / "sentinel2" / "cdse-scenes", "cdse").write(scene_id, bands, attributes)
    return scene_id


@pytest.mark.parametrize("which", ["cog_scene", "safe_scene"])
def test_a_real_scene_goes_through_to_all_products(which, request, darts, make_model, tmp_path):
    scene_id, numbers, grid, offset = request.getfixturevalue(which)
    model = make_model(tmp_path / "models" / "optical.pt", OPTICAL)
    command = ["inference", "sentinel2-sequential", "--offline", "--scene-ids", scene_id, "--model-files", model]
    result = darts(*command, "--patch-size", 512, "--overlap", 64, "--export-bands", *PRODUCTS)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = tmp_path / "output" / "sentinel2-cdse" / scene_id
    assert {path.name for path in folder.iterdir()} == FILES

    no_data = (numbers["SCL_20m"] == 0) | np.any([values == 0 for values in numbers.values()], axis=0)
    with rasterio.open(folder / "optical.tif") as optical:
        assert GeoBox(optical.shape, optical.transform, optical.crs.to_wkt()) == grid
        descriptions = dict(zip(optical.descriptions, optical.indexes, strict=True))
        for name, band in {"red": "B04_10m", "nir": "B08_10m"}.items():
            index = descriptions[name]
            shown = optical.read(index) * optical.scales[index - 1] + optical.offsets[index - 1]
            expected = np.clip(numbers[band] * 1e-4 + offset, -0.1, 0.5)
            np.testing.assert_allclose(shown[~no_data], expected[~no_data], atol=1.01e-4)

    probabilities, placed = read(folder / "probabilities.tif")
    assert placed == grid
    assert ((probabilities <= 100) | (probabilities == 255)).all()
    assert (probabilities[no_data] == 255).all()
    assert len(np.unique(probabilities)) > 20
    segments = gpd.read_parquet(folder / "prediction_segments.parquet")
    assert segments.crs.to_epsg() == grid.crs.epsg
    assert len(segments) > 0
    left, bottom, right, top = segments.total_bounds
    box = grid.boundingbox
    assert box.left <= left < right <= box.right
    assert box.bottom <= bottom < top <= box.top


def unpacked(archive, folder):
    """Unpack a shapefile without its folder, whose name is in an encoding that GDAL does not read."""
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            (folder / name.rsplit("/")[-1]).write_bytes(content.read(name))
    (shapefile,) = folder.glob("*.shp")
    return shapefile


def test_real_slumps_lie_on_the_real_terrain_where_they_should(shared_data, tmp_path):
    """On the Svalbard DEM they line the rivers: low, in hollows, on gentle ground but never flat; the map is steep."""
    from darts_preprocessing.terrain.derivatives import derive_terrain
    from darts_preprocessing.terrain.tpi import topographic_position_index

    with rasterio.open(shared_data / "dem" / "longyearbyen_1995.tif") as file:
        heights = file.read(1, masked=True).filled(np.nan).astype(np.float32)
        grid = GeoBox(file.shape, file.transform, file.crs.to_wkt())
    terrain = derive_terrain(wrap_xr(heights, grid), ("slope", "aspect"))
    index = topographic_position_index(wrap_xr(heights, grid), 1000)
    slumps = gpd.read_file(unpacked(shared_data / "labels" / "nicu2021_svalbard.zip", tmp_path)).to_crs(file.crs)
    box = grid.extent.geom
    inside = slumps[slumps.within(box)]
    assert len(inside) == 59
    points = inside.representative_point()
    columns, rows = ~grid.affine @ (points.x.to_numpy(), points.y.to_numpy())
    place = rows.astype(int), columns.astype(int)
    at_slumps, position = terrain.slope.values[place], index.values[place]
    assert (at_slumps > 2).all()
    assert np.median(at_slumps) < 10 < np.nanmedian(terrain.slope.values)
    assert np.median(heights[place]) < 0.5 * np.nanmedian(heights)
    assert (position < 0).mean() > 0.75
