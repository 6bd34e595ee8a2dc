"""Scenes over a slow line: how much of the line and of the connections is used, while what has arrived is decoded.

`uv run python -m benchmarks.fetching --scenes 40 --mbit-per-s 200` fetches them as `darts prep-data` does, from a
storage of its own on this machine. Scenes are parts of whole ones, so that there are many in a minute: what a byte
costs is the same. Prints the bytes on the wire, the seconds, those that the line alone takes for them, and how long
the four connections that the service allows were in use.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pystac
import rasterio
from affine import Affine

from benchmarks.lib import slow_storage
from benchmarks.lib.scene import CLASSES, SCENE_ID, raw_bands

_CONNECTIONS = 4
"""What the storage allows."""


def write_files(folder: Path, size: int) -> dict[str, dict[str, Any]]:
    """Write a scene as files of JPEG 2000, as the storage has them; return the assets of its item."""
    assets = {}
    for name, band in raw_bands(size).items():
        values, times = np.asarray(band.values), 2 if name == CLASSES else 1
        values, grid = values[::times, ::times], band.odc.geobox
        profile = {"driver": "JP2OpenJPEG", "height": len(values), "width": values.shape[1], "count": 1}
        profile |= {"dtype": values.dtype, "crs": str(grid.crs), "transform": grid.affine * Affine.scale(times)}
        path = folder / f"{name}.jp2"
        with rasterio.open(path, "w", QUALITY="100", REVERSIBLE="YES", **profile) as file:
            file.write(values, 1)
        checksum = "1620" + hashlib.sha3_256(path.read_bytes()).hexdigest()
        roles = ["data", "sampling:original", *([] if name == CLASSES else ["reflectance"])]
        assets[name] = {"type": "image/jp2", "roles": roles, "file:checksum": checksum, **band.attrs}
    return assets


def items(assets: dict[str, dict[str, Any]], number: int) -> Iterator[pystac.Item]:
    """Yield so many items of the catalogue, whose assets are the same files under other keys."""
    for index in range(number):
        scene_id = f"{SCENE_ID}-{index:03}"
        placed = {name: {**asset, "href": f"s3://eodata/{scene_id}/{name}.jp2"} for name, asset in assets.items()}
        properties = {"datetime": "2024-07-20T20:09:09Z", "processing:version": "05.10"}
        given = {"type": "Feature", "stac_version": "1.1.0", "id": scene_id, "links": [], "properties": properties}
        place = {"geometry": {"type": "Point", "coordinates": [-135, 69]}, "bbox": [-135, 69, -135, 69]}
        yield pystac.Item.from_dict({**given, **place, "assets": placed})


@contextmanager
def storage(folder: Path, mbit_per_s: float) -> Iterator[str]:
    """Hold a storage on a slow line; yield its address."""
    command = [sys.executable, slow_storage.__file__, str(folder), "--mbit-per-s", str(mbit_per_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


def fetch(scenes: list[pystac.Item], store: Path) -> list[str]:
    """Fetch scenes as runs that prepare data do; return what went wrong."""
    from darts.pipelines.fetch.downloader import Downloader, Fetched, Layer, OnBytes
    from darts.pipelines.tiles import TileRef
    from darts_acquisition import download_cdse_s2_sr_scene

    by_id = {item.id: item for item in scenes}
    refs = [TileRef(tile_id=scene_id, output_folder=Path(scene_id)) for scene_id in by_id]

    def download(ref: TileRef, _: OnBytes) -> None:
        download_cdse_s2_sr_scene(by_id[ref.tile_id], store)

    ended = [event for event in Downloader([Layer("images", download)]).run(refs) if isinstance(event, Fetched)]
    return [f"{one.ref.tile_id}: {one.error}" for one in ended if one.error]


def main() -> None:
    """Make files, serve and fetch them, and print what was used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--mbit-per-s", type=float, default=200)
    parser.add_argument("--size", type=int, default=2744, help="pixels along an edge; 10980 are a whole scene")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="darts-fetching-") as name:
        folder = Path(name)
        (folder / "files").mkdir()
        assets = write_files(folder / "files", arguments.size)
        credentials = folder / "credentials"
        credentials.write_text("[default]\naws_access_key_id = key\naws_secret_access_key = secret\n")
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(credentials)
        with storage(folder / "files", arguments.mbit_per_s) as address:
            os.environ["DARTS_CDSE_S3_ENDPOINT"] = address
            start, cpu = time.monotonic(), time.process_time()
            problems = fetch(list(items(assets, arguments.scenes)), folder / "store")
            seconds, cpu = time.monotonic() - start, time.process_time() - cpu
            with urllib.request.urlopen(f"{address}/counted") as answer:
                counted = json.load(answer)
    line_s = counted["n_bytes"] * 8 / (arguments.mbit_per_s * 1e6)
    busy = counted["busy_s"] / (_CONNECTIONS * counted["seconds"])
    print(f"{arguments.scenes} scenes of {arguments.size} px, {counted['n_bytes'] / 1e6:.0f} MB on the wire")
    print(f"{seconds:.1f} s, {cpu:.1f} s of CPU; the line alone {line_s:.1f} s: {line_s / seconds:.0%} of it used")
    print(f"connections in use {busy:.0%} of the time from the first request to the last")
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()
