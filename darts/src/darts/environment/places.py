"""Checks of places: folders that are written to, disks that fill up, accounts that are asked for."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from darts.environment.check import Check, fails, ok, slow
from darts_acquisition.services.copernicus import init_copernicus
from darts_acquisition.services.earthengine_credentials import HOW_TO_GET_CREDENTIALS
from darts_utils.errors import CredentialsError
from darts_utils.paths import PathManager

_GIB = 2**30
_FULL_BYTES, _NEARLY_FULL_BYTES = 1 * _GIB, 20 * _GIB
"""A scene online takes a gigabyte, its results some more."""
_ANOTHER = "Choose another folder (--{name}-dir), or ask for the right to write there."


def folder_checks(paths: PathManager) -> Iterator[Check]:
    """Yield whether folders can be written to: results must be, what is fetched only online."""
    for name in ("output", "logs"):
        yield _writable(name, getattr(paths, name), must=True)
    for name in ("input", "aux"):
        yield _writable(name, getattr(paths, name), must=False)


def disk_checks(paths: PathManager) -> Iterator[Check]:
    """Yield whether there is room on the disks of data, each disk once."""
    disks: dict[int, list[str]] = {}
    places = {name: _there(getattr(paths, name)) for name in ("fast", "large", "output", "input", "aux")}
    for name, place in places.items():
        disks.setdefault(place.stat().st_dev, []).append(name)
    for names in disks.values():
        yield _room(" ".join(names), places[names[0]])


def account_checks() -> Iterator[Check]:
    """Yield whether keys are there; nobody is asked whether they are right."""
    try:
        init_copernicus()
        yield ok("account of the Copernicus Data Space", "keys are there")
    except CredentialsError as error:
        advice = "Or take scenes of Earth Search (--raw-data-source earthsearch), or run offline."
        yield fails("account of the Copernicus Data Space", *_split(str(error), advice))
    files = [file for file in _earthengine_files() if file.is_file()]
    if files:
        yield ok("account of Earth Engine", f"credentials are in {files[0]}")
    else:
        yield fails("account of Earth Engine", "there are no credentials", f"{HOW_TO_GET_CREDENTIALS} Or run offline.")


def _split(message: str, advice: str) -> tuple[str, str]:
    """Return the first sentence of a message, and the others with an advice."""
    first, _, others = message.partition(". ")
    return first, f"{others} {advice}"


def _earthengine_files() -> Iterator[Path]:
    home = Path.home()
    yield home / ".config" / "earthengine" / "credentials"
    if given := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        yield Path(given)
    yield home / ".config" / "gcloud" / "application_default_credentials.json"


def _writable(name: str, folder: Path, *, must: bool) -> Check:
    what, there = f"folder {name}", _there(folder)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return ok(what, f"{folder} can be {'written to' if there == folder else 'made'}")
    if must:
        return fails(what, f"{folder} cannot be written to", _ANOTHER.format(name=name))
    return slow(what, f"{folder} cannot be written to", f"Offline runs only read it. {_ANOTHER.format(name=name)}")


def _room(names: str, place: Path) -> Check:
    what, free = f"disk of {names}", shutil.disk_usage(place).free
    found = f"{free / _GIB:.1f} GiB free at {place}"
    if free < _FULL_BYTES:
        return fails(what, found, "Free some space, or choose other folders.")
    if free < _NEARLY_FULL_BYTES:
        return slow(what, found, "That is room for a few scenes: free some space, or map in parts (--shard).")
    return ok(what, found)


def _there(folder: Path) -> Path:
    """Return a folder if it is there, else the nearest above it that is."""
    whole = folder.absolute()
    return next(one for one in (whole, *whole.parents) if one.exists())
