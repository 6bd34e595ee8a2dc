"""Files that lead to the network or to other files are refused, and no connection is opened for them."""

import json
import os
import select
import socket
import zipfile

import geopandas as gpd
import icechunk
import numpy as np
import pytest
import rasterio
import shapely
import zarr
from odc.geo.geobox import GeoBox

from darts_acquisition.auxiliary.cube import open_cube
from darts_acquisition.catalog.vectors import read_vector_layers
from darts_acquisition.optical.local_files.raster import opened
from darts_acquisition.services.arcticdem import _check_address as check_address
from darts_acquisition.services.copernicus import CopernicusKeys
from darts_acquisition.services.network import set_offline
from darts_acquisition.services.rasters.files import _decode
from darts_acquisition.services.rasters.s3 import read_raster
from darts_acquisition.services.retry import Limiter, Service, call
from darts_acquisition.services.settings import refusing
from darts_utils.errors import DataError, MissingDataError
from darts_utils.names import shown

FEATURE = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}


@pytest.fixture
def address(monkeypatch):
    """An address on the network; the test fails if somebody connects to it."""
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert not select.select([listener], [], [], 0)[0], "a connection was opened"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a_SR.tif"
    profile = {"width": 32, "height": 20, "count": 1, "dtype": "uint16", "crs": "EPSG:32608"}
    with rasterio.open(path, "w", driver="GTiff", transform=rasterio.Affine(3, 0, 5e5, 0, -3, 7e6), **profile) as file:
        file.write(np.ones((1, 20, 32), dtype=np.uint16))
    return path


def look_at(path):
    """Do all that makes GDAL open the files beside an image."""
    with opened(path) as source:
        source.read(1)
        source.overviews(1)
        source.dataset_mask()


def vrt(source):
    return (
        '<VRTDataset rasterXSize="32" rasterYSize="20"><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def wms(address):
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/${{z}}/${{x}}/${{y}}</ServerUrl></Service><DataWindow>'
        "<UpperLeftX>-1</UpperLeftX><UpperLeftY>1</UpperLeftY><LowerRightX>1</LowerRightX><LowerRightY>-1</LowerRightY>"
        "<SizeX>32</SizeX><SizeY>20</SizeY></DataWindow><BandsCount>1</BandsCount></GDAL_WMS>"
    )


@pytest.mark.parametrize("make", [vrt, wms])
def test_an_image_that_is_no_geotiff_is_not_opened(address, image, make):
    image.write_text(make(f"/vsicurl/{address}/x.tif" if make is vrt else address))
    with pytest.raises(DataError, match=r"a_SR\.tif cannot be read \(.*not recognized as being in a supported file"):
        look_at(image)


def test_an_image_that_is_made_of_another_file_is_not_opened(image, tmp_path):
    (tmp_path / "b_SR.tif").write_text(vrt(image))
    with pytest.raises(DataError, match=r"b_SR\.tif cannot be read \("):
        look_at(tmp_path / "b_SR.tif")


@pytest.mark.parametrize("ending", [".tif.ovr", ".tif.msk"])
def test_a_side_file_that_leads_elsewhere_is_refused(address, image, ending):
    side = image.with_name(f"a_SR{ending}")
    side.write_text(vrt(f"/vsicurl/{address}/x.tif"))
    with pytest.raises(DataError) as caught:
        look_at(image)
    assert str(caught.value) == (
        f"{side} is no GeoTIFF, but GDAL would open it with a_SR.tif. Only the image itself is read: delete that file, "
        "or copy or download the image again."
    )


def test_overviews_in_another_file_are_refused(address, image):
    overview = f"/vsicurl/{address}/x.tif"
    side = image.with_name("a_SR.tif.aux.xml")
    item = f'<MDI key="OVERVIEW_FILE">{overview}</MDI>'
    side.write_text(f'<PAMDataset><Metadata domain="OVERVIEWS">{item}</Metadata></PAMDataset>')
    with pytest.raises(DataError, match=r"a_SR\.tif\.aux\.xml names another file for the overviews of a_SR\.tif"):
        look_at(image)
    side.unlink()
    with rasterio.open(image, "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=overview)
    with pytest.raises(DataError, match=r"a_SR\.tif names another file for its overviews\. Only the image"):
        look_at(image)


def test_honest_side_files_are_read(image):
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(image, "r+") as file:
        file.build_overviews([2])
    assert image.with_name("a_SR.tif.ovr").exists()
    image.with_name("a_SR.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>'
    )
    with opened(image) as source:
        assert source.nodata == 7
        assert source.overviews(1) == [2]


def vector_texts(address):
    crs = {"type": "link", "properties": {"href": f"{address}/crs", "type": "proj4"}}
    layer = f'<OGRVRTLayer name="x"><SrcDataSource>/vsicurl/{address}/x.gpkg</SrcDataSource></OGRVRTLayer>'
    return {
        "vrt.gpkg": f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>",
        "vrt.kml": f'<?xml version="1.0"?>\n<!-- <kml> --><OGRVRTDataSource>{layer}</OGRVRTDataSource>',
        "wfs.geojson": f"<OGRWFSDataSource><URL>{address}</URL></OGRWFSDataSource>",
        "pipeline.geojson": json.dumps(
            {"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read /vsicurl/{address}/x ! filter"}
        ),
        "crs.geojson": json.dumps({"type": "FeatureCollection", "crs": crs, "features": [FEATURE]}),
        "url.geojson": json.dumps(
            {"type": "FeatureCollection", "crs": {"type": "URL", "properties": {"url": address}}, "features": [FEATURE]}
        ),
    }


@pytest.mark.parametrize("name", vector_texts(""))
@pytest.mark.parametrize("zipped", [False, True])
def test_a_vector_file_that_leads_elsewhere_is_refused(address, tmp_path, name, zipped):
    path, text = tmp_path / name, vector_texts(address)[name]
    if zipped:
        path = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, text)
    else:
        path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_vector_layers(path)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.shp", "a.kml", "a.fgb", "a.gml"])
def test_vector_files_that_hold_their_shapes_are_read(tmp_path, name):
    drivers = {".fgb": "FlatGeobuf", ".kml": "KML", ".gml": "GML"}
    square = gpd.GeoDataFrame({"Name": ["x"]}, geometry=[shapely.box(1, 2, 3, 4)], crs="EPSG:4326")
    square.to_file(tmp_path / name, driver=drivers.get((tmp_path / name).suffix))
    (_, layer), *_ = read_vector_layers(tmp_path / name)
    assert layer.geometry.iloc[0].bounds == (1, 2, 3, 4)


def test_offline_gdal_and_proj_have_no_network(address, monkeypatch):
    import pyproj.network

    monkeypatch.setenv("PROJ_NETWORK", "ON")
    set_offline(offline=True)
    try:
        assert os.environ["PROJ_NETWORK"] == "OFF"
        assert not pyproj.network.is_network_enabled()
        for read in (rasterio.open, gpd.read_file):
            with pytest.raises(Exception, match=r"does not exist|No such file|not recognized"):
                read(f"/vsicurl/{address}/x.tif")
    finally:
        set_offline(offline=False)
    assert os.environ["PROJ_NETWORK"] == "ON"
    assert "CPL_VSIL_CURL_ALLOWED_FILENAME" not in os.environ


def test_where_no_service_may_be_asked_a_question_fails_at_once_with_what_to_do():
    service = Service(name="Some catalogue", advice="", limiter=Limiter(connections=1))
    with refusing("Stage it before."):
        with pytest.raises(MissingDataError) as caught:
            call(service, "asking", lambda: pytest.fail("it was asked"))
        assert str(caught.value) == (
            "this would ask the Some catalogue, which an offline run does not. Stage it before."
        )
    assert call(service, "asking", lambda: 7) == 7


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "/vsicurl/http://127.0.0.1:1/x.jp2",
        "https://example.org/x.jp2",
        "s3://",
        "s3://eodata",
        "s3://eodata/../x.jp2",
        "s3://eodata/a/.jp2",
        "s3://eodata/x.jp2?versionId=1",
        "s3://eodata/x.jp2\n",
    ],
)
def test_a_catalogue_names_objects_of_the_storage_and_nothing_else(url):
    keys = CopernicusKeys(profile_name="default", access_key="a", secret_key="b")
    with pytest.raises(DataError) as caught:
        read_raster(url, keys)
    assert str(caught.value) == (
        f"Copernicus storage: the catalogue names the file {shown(url)}, but only s3://bucket/key is read. "
        "Leave this scene out."
    )


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://data.pgc.umn.edu/a.tif",
        "https://data.pgc.umn.edu.example.org/a.tif",
        "https://data.pgc.umn.edu@example.org/a.tif",
        "http://127.0.0.1:2/a.tif",
        "ftp://127.0.0.1:1/a.tif",
        "/vsizip//etc/x.zip",
    ],
)
def test_a_catalogue_names_rasters_of_known_hosts_and_nothing_else(url, monkeypatch):
    monkeypatch.setenv("DARTS_ARCTICDEM_STAC_URL", "http://127.0.0.1:1/stac")
    with pytest.raises(DataError) as caught:
        check_address(url)
    assert str(caught.value) == (
        f"ArcticDEM service: its catalogue names the raster {url}, but rasters are read by https from 127.0.0.1, "
        "pgc-opendata-dems.s3.us-west-2.amazonaws.com, data.pgc.umn.edu only. DARTS_ARCTICDEM_ASSET_HOSTS names other "
        "hosts."
    )


def test_rasters_may_lie_on_other_hosts_than_the_catalogue(monkeypatch):
    check_address("https://pgc-opendata-dems.s3.us-west-2.amazonaws.com/arcticdem/a.tif")
    monkeypatch.setenv("DARTS_ARCTICDEM_ASSET_HOSTS", "mirror.example.org, other.example.org")
    check_address("https://tiles.mirror.example.org/a.tif")
    check_address("https://stac.pgc.umn.edu/a.tif")
    with pytest.raises(DataError):
        check_address("https://data.pgc.umn.edu/a.tif")


def test_a_cube_whose_chunks_lie_elsewhere_asks_nobody(address, tmp_path):
    path = tmp_path / "a.icechunk"
    container = icechunk.VirtualChunkContainer(f"{address}/", icechunk.http_store())
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(container)
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)), config)
    repository.save_config()
    session = repository.writable_session("main")
    zarr.create_group(session.store).create_array("dem", shape=(4, 4), chunks=(4, 4), dtype="f4", compressors=None)
    session.store.set_virtual_ref("dem/c/0/0", f"{address}/x", offset=0, length=64, validate_container=False)
    session.commit("made")
    grid = GeoBox((4, 4), rasterio.Affine(10, 0, 0, 0, -10, 0), "EPSG:3413")
    with pytest.raises(DataError, match=r"dem of the datacube .* cannot be read"):
        open_cube(path, grid, "x").read({"dem": "f"}, grid)


def test_a_band_that_announces_more_pixels_than_any_tile_has_is_not_decoded(image, monkeypatch):
    monkeypatch.setattr("darts_acquisition.services.rasters.files._MOST_PIXELS", 600)
    with pytest.raises(DataError) as caught:
        _decode(image, "s3://eodata/a.tif")
    assert str(caught.value) == "s3://eodata/a.tif has 32 x 20 pixels, which no tile has. Leave it out."
