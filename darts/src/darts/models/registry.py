"""Registries of models: files that say where models are, and what they must be."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from darts_segmentation.models.tools.cards import SUFFIXES
from darts_utils.errors import ConfigError, DataError, did_you_mean
from darts_utils.names import check_name, shown

FILES = ("registry.toml", "registry.json")
"""Where one is looked for in the models folder, in this order."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model that can be fetched."""

    name: str
    """Name of the file that it becomes, without its suffix."""
    url: str
    sha256: str
    """Of the file, 64 hexadecimal digits."""
    licence: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        try:
            check_name(self.name, "a model")
        except DataError as error:
            raise ConfigError(str(error)) from error
        address = urlsplit(self.url)
        if address.scheme != "https" or not address.hostname:
            raise ConfigError(f"url is {shown(self.url)} but must begin with https://. There is no other way.")
        if self.suffix not in SUFFIXES:
            raise ConfigError(f"url is {shown(self.url)} but must end in {', '.join(SUFFIXES)}. Name the file itself.")
        if not _SHA256.fullmatch(self.sha256):
            raise ConfigError(f"sha256 is {shown(self.sha256)} but must be 64 hexadecimal digits. Correct it.")

    @property
    def suffix(self) -> str:
        """Suffix of the file, in lower case."""
        return _file_name(self.url).suffix.lower()


def entry_of_url(url: str, sha256: str, name: str | None = None) -> Entry:
    """Return what is fetched from an address.

    Raises:
        ConfigError: If the address or the hash is illegal.
    """
    stem = _file_name(url).stem if name is None else name
    return Entry(name=stem, url=url, sha256=sha256.lower().removeprefix("sha256:"))


def read_registry(file: Path) -> dict[str, Entry]:
    """Return the models of a registry by name.

    Args:
        file: TOML with a table `[[models]]` for each, or JSON with a list `models`; each has `name`, `url`, `sha256`
            and, if it is known, `licence`.

    Raises:
        ConfigError: If it is not there, or not such a file; the message says which entry.
    """
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix.lower() == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        raise ConfigError(f"there is no registry {file}. Name one with --registry.") from error
    except OSError as error:
        raise ConfigError(f"cannot read the registry {file}: {error.strerror}. Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"the registry {file} is no TOML or JSON ({str(error).splitlines()[0]}). Correct it."
        ) from error
    models = content.get("models") if isinstance(content, dict) else None
    if not isinstance(models, list):
        raise ConfigError(f"the registry {file} has no list `models`. Give each model a table [[models]].")
    entries = [_entry(file, number, said) for number, said in enumerate(models, start=1)]
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"the registry {file} has {', '.join(twice)} more than once. Keep one.")
    return {entry.name: entry for entry in entries}


def find_entry(registry: Path, name: str) -> Entry:
    """Return a model of a registry.

    Raises:
        ConfigError: If it has no such model, or cannot be read.
    """
    entries = read_registry(registry)
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise ConfigError(
            f"the registry {registry} has no model {shown(name)}; it has {known}.{did_you_mean(name, entries)}"
        )
    return entries[name]


def default_registry(models: Path) -> Path:
    """Return the registry of a models folder, the first of `FILES` if there is none yet."""
    return next((models / name for name in FILES if (models / name).is_file()), models / FILES[0])


def _entry(file: Path, number: int, said: Any) -> Entry:
    values: Mapping[str, Any] = said if isinstance(said, dict) else {}
    texts = {key: values.get(key) for key in ("name", "url", "sha256", "licence")}
    lacking = [key for key in ("name", "url", "sha256") if not isinstance(texts[key], str)]
    if lacking or not isinstance(texts["licence"], str | None):
        raise ConfigError(
            f"the registry {file} has no text for {', '.join(lacking) or 'licence'} in its model {number}. Correct it."
        )
    try:
        return Entry(**{**texts, "sha256": texts["sha256"].lower()})  # type: ignore[union-attr]  # checked above
    except ConfigError as error:
        raise ConfigError(f"the registry {file}, model {number}: {error}") from error


def _file_name(url: str) -> PurePosixPath:
    return PurePosixPath(PurePosixPath(unquote(urlsplit(url).path)).name)
