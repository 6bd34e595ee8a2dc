"""Mosaics beside other programs: rio-cogeo, morecantile, GDAL's own commands and its warp."""

import json
import shutil
import subprocess

import morecantile
import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio import Affine
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window
from rio_cogeo import cog_validate

from darts_export.publish.grids import Cell, mercator_grid, mercator_zoom, polar_grid
from darts_export.publish.looks import Look
from darts_export.publish.mosaics import write_mosaics

WEB = morecantile.tms.get("WebMercatorQuad")
PIXELS = GeoBox((1300, 900), Affine(40, 0, 470_312, 0, -40, 7_756_871), "EPSG:32608")
GRIDS = {"polar": polar_grid(40), "mercator": mercator_grid(10)}


@pytest.fixture(scope="module", params=GRIDS)
def mosaics(request, tmp_path_factory):
    """Two images, mapped to noise, as a mosaic on either grid."""
    folder = tmp_path_factory.mktemp("mosaics")
    looks = []
    for number in range(2):
        rng = np.random.default_rng(number)
        values = rng.integers(0, 101, PIXELS.shape, dtype=np.uint8)
        values[:, 200 * number : 300 * number] = 255
        looks.append(Look(f"image-{number}", 2021, folder / f"{number}.tif"))
        told = {"dtype": "uint8", "nodata": 255, "crs": str(PIXELS.crs), "transform": PIXELS.affine}
        with rasterio.open(
            looks[-1].file, "w", driver="GTiff", count=1, height=PIXELS.shape[0], width=PIXELS.shape[1], **told
        ) as raster:
            raster.write(values, 1)
    grid = GRIDS[request.param]
    return grid, looks, write_mosaics(looks, folder / "out", grid)


def files(mosaics):
    return [file for tile in mosaics[2] for file in (tile.probability, tile.looks)]


def test_rio_cogeo_has_nothing_to_say_against_any_file(mosaics):
    for file in files(mosaics):
        assert cog_validate(file, strict=True, quiet=True) == (True, [], [])


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="GDAL's commands are not installed here")
def test_gdalinfo_reads_each_file_and_finds_what_its_tags_say(mosaics):
    for tile in mosaics[2]:
        for file, nodata, said in (
            (tile.probability, 255, tile.probability_statistics),
            (tile.looks, 0, tile.looks_statistics),
        ):
            run = subprocess.run(["gdalinfo", "-json", "-mm", file], capture_output=True, text=True, check=True)
            assert run.stderr == ""
            found = json.loads(run.stdout)
            (band,) = found["bands"]
            assert found["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
            assert found["size"] == list(tile.shape)
            assert tuple(found["geoTransform"]) == pytest.approx(Affine(*tile.transform).to_gdal(), rel=1e-14)
            assert band["noDataValue"] == nodata
            assert (band["computedMin"], band["computedMax"]) == (said.minimum, said.maximum)
            assert (band["mean"], band["stdDev"]) == pytest.approx((said.mean, said.stddev), abs=1e-3)
            assert band["block"] == [mosaics[0].layout["blocksize"]] * 2


def test_gdal_warps_each_image_to_the_same_values(mosaics):
    """Told to transform every pixel exactly; where a middle lies on an edge of pixels, it may take the other one."""
    _, looks, tiles = mosaics
    for tile in tiles:
        with rasterio.open(tile.probability) as one, rasterio.open(tile.looks) as other:
            rows, columns = (np.flatnonzero((other.read(1) > 0).any(axis=axis)) for axis in (1, 0))
            top, left = max(rows[0] - 9, 0), max(columns[0] - 9, 0)
            part = Window(left, top, min(columns[-1] + 9, other.width) - left, min(rows[-1] + 9, other.height) - top)
            mean, number = warped(looks, (part.height, part.width), one.window_transform(part), one.crs)
            assert (one.read(1, window=part) != mean).sum() <= 2
            assert (other.read(1, window=part) != number).sum() <= 2


def warped(looks, shape, transform, crs):
    """Return mean and number of looks at some pixels, by GDAL."""
    sums, number = np.zeros(shape), np.zeros(shape, dtype=int)
    for look in looks:
        values = np.full(shape, 255, dtype=np.uint8)
        with rasterio.open(look.file) as raster:
            reproject(
                rasterio.band(raster, 1),
                values,
                dst_transform=transform,
                dst_crs=crs,
                dst_nodata=255,
                resampling=Resampling.nearest,
                tolerance=0,
            )
        sums[values != 255] += values[values != 255]
        number += values != 255
    return np.where(number > 0, np.rint(sums / np.maximum(number, 1)), 255), number


@pytest.mark.parametrize("size", [0.5, 3, 4.77, 10, 15, 30, 60])
@pytest.mark.parametrize("latitude", [0, 45, 60.3, 70, 78, -55])
def test_morecantile_chooses_the_same_zoom_level(size, latitude):
    assert mercator_zoom(size, latitude) == WEB.zoom_for_res(size / np.cos(np.radians(latitude)))


@pytest.mark.parametrize("zoom", [9, 12, 15])
def test_cells_and_their_overviews_are_tiles_of_the_web(zoom):
    grid = mercator_grid(zoom)
    cell = Cell(3, 2 ** (zoom - 5) - 2)
    pixels = grid.pixels_of(cell)
    for levels in range(6):
        tile = morecantile.Tile((cell.column << levels) + (1 << levels) - 1, cell.row << levels, zoom - 5 + levels)
        edge = 8192 >> levels
        part = pixels[:edge, 8192 - edge :].extent.boundingbox
        assert tuple(part) == pytest.approx(tuple(WEB.xy_bounds(tile)), abs=1e-6)
    assert tuple(grid.footprint_of(cell).bounds) == pytest.approx(
        tuple(WEB.bounds(morecantile.Tile(cell.column, cell.row, zoom - 5))), abs=1e-6
    )


@pytest.mark.parametrize("mosaics", ["mercator"], indirect=True)
def test_gdal_takes_mercator_rasters_for_tiles_of_the_web(mosaics):
    with rasterio.open(mosaics[2][0].probability) as raster:
        told = raster.tags(ns="TILING_SCHEME")
        assert told == {"NAME": "GOOGLEMAPSCOMPATIBLE", "ZOOM_LEVEL": "10", "ALIGNED_LEVELS": "6"}
        assert raster.overviews(1) == [2, 4, 8, 16, 32]
