"""Administrative boundaries: the global composite of geoBoundaries."""

import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from darts_acquisition.catalog.vector_kinds import check_holds_shapes
from darts_acquisition.services.archives import check_zip
from darts_acquisition.services.endpoints import endpoint
from darts_acquisition.services.http import fetch_file
from darts_acquisition.services.retry import Limiter, RetryPolicy, Service, TransientError
from darts_utils.files import atomic_file

BOUNDARIES = Service(
    name="geoBoundaries",
    advice="Check your connection, or try again later; DARTS_ADMIN_URL names another place.",
    limiter=Limiter(connections=2),
    leads_to=("githubusercontent.com",),
    policy=RetryPolicy(attempts=5, total_s=900, try_timeout_s=1800),  # files of up to 200 MB
)
LEVELS = (0, 1, 2)


def download_admin_files(admin_dir: Path) -> None:
    """Fetch countries, provinces and districts as shapefiles; what is there is not fetched again.

    `admin_dir` then holds `geoBoundariesCGAZ_ADM0`, `..._ADM1` and `..._ADM2`, `.shp` with its side files, polygons in
    EPSG:4326 with the columns `shapeName` and `shapeGroup`.

    Raises:
        ServiceError: If the service does not answer.
        OutputError: If the folder cannot be written.
    """
    admin_dir = Path(admin_dir)
    for level in LEVELS:
        name = f"geoBoundariesCGAZ_ADM{level}"
        if not (admin_dir / f"{name}.shp").is_file():
            _download(admin_dir, name)


def _download(admin_dir: Path, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="darts-boundaries-") as temporary:
        archive = Path(temporary) / f"{name}.zip"
        fetch_file(BOUNDARIES, f"{endpoint('admin_url')}/{name}.zip", archive, check=_check)
        with zipfile.ZipFile(archive) as parts:
            files = [part for part in parts.namelist() if PurePosixPath(part).name.startswith(f"{name}.")]
            # the .shp comes last: it tells that all are there
            for part in sorted(files, key=lambda part: part.endswith(".shp")):
                with atomic_file(admin_dir / PurePosixPath(part).name) as file:
                    _unpack(parts, part, file)


def _unpack(archive: zipfile.ZipFile, part: str, file: Path) -> None:
    with archive.open(part) as source, file.open("wb") as target:
        shutil.copyfileobj(source, target)


def _check(archive: Path) -> None:
    """Do nothing if an archive holds polygons that can be read."""
    check_zip(archive)
    check_holds_shapes(archive)
    try:
        information = pyogrio.read_info(f"/vsizip/{archive}")
    except (DataSourceError, DataLayerError) as error:
        raise TransientError(f"what arrived holds no boundaries: {error}") from error
    if not information["features"]:
        raise TransientError("what arrived holds no boundaries")
