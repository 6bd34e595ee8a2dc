"""Boundaries and tiling grid: whole or absent, fetched once, again when damaged."""

import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import geopandas as gpd
import pytest
import shapely

from darts_acquisition import download_admin_files, download_sentinel_2_grid
from darts_acquisition.catalog.grid import tile_footprints
from darts_utils.errors import ConfigError, DataError, MissingDataError, ServiceError

KML = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder><name>Features</name>
{placemarks}</Folder></Document></kml>"""
PLACEMARK = """<Placemark><name>{name}</name><description><![CDATA[<b>UTM_WKT</b>]]></description>
<MultiGeometry><Polygon>
<outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon>
<Point><coordinates>{point}</coordinates></Point></MultiGeometry></Placemark>"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        body = self.server.files.get(self.path, b"")
        if self.server.spoil:
            body = self.server.spoil.pop(0)(body)
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests, server.files, server.spoil = [], {}, []
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("DARTS_ADMIN_URL", url)
        monkeypatch.setenv("DARTS_SENTINEL2_GRID_URL", f"{url}/grid.zip")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def zipped(files):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return body.getvalue()


@pytest.fixture
def boundaries(server, tmp_path):
    for level in range(3):
        name = f"geoBoundariesCGAZ_ADM{level}"
        shapes = [shapely.box(10 * n, 60, 10 * n + 10, 70) for n in range(level + 1)]
        frame = gpd.GeoDataFrame(
            {"shapeName": [f"land {n}" for n in range(level + 1)]}, geometry=shapes, crs="EPSG:4326"
        )
        frame.to_file(tmp_path / f"{name}.shp")
        server.files[f"/{name}.zip"] = zipped({p.name: p.read_bytes() for p in tmp_path.glob(f"{name}.*")})
    return server


@pytest.fixture
def tiles(server):
    kml = []
    for name, west in (("08WNB", -135), ("01WCP", 179)):
        ring = [(west, 70), (west + 2, 70), (west + 2, 69), (west, 69), (west, 70)]
        ring = " ".join(f"{(x + 180) % 360 - 180},{y},0" for x, y in ring)
        kml.append(PLACEMARK.format(name=name, ring=ring, point=f"{west},70,0"))
    server.files["/grid.zip"] = zipped({"S2A/grid.kml": KML.format(placemarks="".join(kml))})
    return server


def test_boundaries_are_fetched_once(boundaries, tmp_path):
    folder = tmp_path / "admin"
    download_admin_files(folder)
    for level in range(3):
        frame = gpd.read_file(folder / f"geoBoundariesCGAZ_ADM{level}.shp")
        assert frame.shapeName.tolist() == [f"land {n}" for n in range(level + 1)]
    assert {path.suffix for path in folder.iterdir()} == {".cpg", ".dbf", ".prj", ".shp", ".shx"}
    assert len(boundaries.requests) == 3
    download_admin_files(folder)
    assert len(boundaries.requests) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body[: len(body) // 2],
        lambda body: body[:60] + bytes(40) + body[100:],
        lambda body: zipped({"readme": "no shapes"}),
    ],
)
def test_damaged_boundaries_are_fetched_again(boundaries, tmp_path, spoil):
    boundaries.spoil = [spoil]
    download_admin_files(tmp_path / "admin")
    assert len(boundaries.requests) == 4
    assert len(gpd.read_file(tmp_path / "admin" / "geoBoundariesCGAZ_ADM0.shp")) == 1


def test_boundaries_that_are_not_there_leave_nothing(server, tmp_path):
    with pytest.raises(ServiceError, match=r"geoBoundaries: GET \S+/geoBoundariesCGAZ_ADM0\.zip was refused: 404"):
        download_admin_files(tmp_path / "admin")
    assert not (tmp_path / "admin").exists()


def test_the_grid_is_fetched_once_and_gives_footprints(tiles, tmp_path):
    download_sentinel_2_grid(tmp_path / "grid")
    download_sentinel_2_grid(tmp_path / "grid")
    assert tiles.requests == ["/grid.zip"]
    found = tile_footprints(tmp_path / "grid", ["T01WCP", "08WNB", "01WCP"])
    assert found.Name.tolist() == ["01WCP", "08WNB", "01WCP"]
    assert found.crs.to_epsg() == 4326
    assert found.geometry[1].bounds == (-135, 69, -133, 70)
    assert not found.geometry[1].has_z
    assert set(found.geom_type) <= {"Polygon", "MultiPolygon"}


def test_an_unknown_tile_is_named(tiles, tmp_path):
    download_sentinel_2_grid(tmp_path)
    with pytest.raises(ConfigError) as caught:
        tile_footprints(tmp_path, ["08WNB", "99XXX"])
    assert str(caught.value) == "there is no Sentinel-2 tile 99XXX. Give ids such as 08WNB."


def test_no_grid(tmp_path):
    with pytest.raises(MissingDataError) as caught:
        tile_footprints(tmp_path, ["08WNB"])
    path = tmp_path / "sentinel2_grid.gpkg"
    assert str(caught.value) == f"there is no Sentinel-2 grid at {path}. Download it first, while you are online."


def test_a_grid_without_kml(server, tmp_path):
    server.files["/grid.zip"] = zipped({"readme": "none"})
    with pytest.raises(DataError, match=r"/grid\.zip holds no KML file\. DARTS_SENTINEL2_GRID_URL names "):
        download_sentinel_2_grid(tmp_path)
    assert list(tmp_path.iterdir()) == []
