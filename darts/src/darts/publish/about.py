"""What people say of a publication, in a TOML file: title, who made it, on which terms."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from darts_utils.errors import ConfigError, did_you_mean, one_line
from darts_utils.text import read_text

UNKNOWN = "(:unkn)"
"""What DataCite asks to be written where something is not known."""
NO_LICENCE = "other"
"""What STAC asks to be written where none is known."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who made the data."""

    name: str
    """`Family, Given`, or that of an organisation."""
    orcid: str | None = None
    affiliation: str | None = None
    organisation: bool = False


@dataclass(frozen=True, kw_only=True)
class Related:
    """A paper or a data set that belongs to the publication."""

    identifier: str
    """A DOI or an address."""
    relation: str = "IsDocumentedBy"
    """As DataCite has it."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What people say of a publication."""

    title: str = "Retrogressive thaw slumps"
    description: str = ""
    version: str = "1.0"
    licence: str = NO_LICENCE
    """An SPDX identifier, such as CC-BY-4.0; another name only with `licence_url`."""
    licence_url: str | None = None
    publisher: str = UNKNOWN
    doi: str | None = None
    published: date | None = None
    """The day; today if not given."""
    limits: str = ""
    """What users should know that no number says."""
    keywords: tuple[str, ...] = ()
    creators: tuple[Person, ...] = ()
    related: tuple[Related, ...] = field(default=())

    @property
    def moment(self) -> datetime:
        """The day of publication, at its beginning in UTC."""
        return datetime.combine(self.published or datetime.now(UTC).date(), time(), UTC)

    @property
    def authors(self) -> str:
        """Their names, for people to read."""
        return "; ".join(one.name for one in self.creators) or "Authors not named"

    @property
    def people(self) -> tuple[Person, ...]:
        """Who made it; one who is not known if nobody is named."""
        return self.creators or (Person(name=UNKNOWN, organisation=True),)

    @property
    def lacking(self) -> list[str]:
        """What a publication should say and this does not."""
        told = {"creators": self.creators, "description": self.description, "publisher": self.publisher != UNKNOWN}
        return [name for name, value in {**told, "licence": self.licence != NO_LICENCE}.items() if not value]


def read_about(file: Path | None) -> About:
    """Return what a file says of a publication; what it does not say is as if nobody had said anything.

    Raises:
        ConfigError: If it cannot be read, or has a key or a value that makes no sense; the message names it.
    """
    if file is None:
        return About()
    try:
        said = tomllib.loads(read_text(file))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {file}. Correct --about, or leave it out.") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({one_line(error, 160)}). Correct it.") from error
    people = {"creators": Person, "related": Related}
    lists = {
        name: tuple(_of(file, kind, one, name) for one in _list(file, said, name)) for name, kind in people.items()
    }
    texts = {name: value for name, value in said.items() if name not in people}
    if isinstance(texts.get("keywords"), list):
        texts["keywords"] = tuple(texts["keywords"])
    about: About = _of(file, About, {**texts, **lists}, "")
    return about


def _list(file: Path, said: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = said.get(name, [])
    if not isinstance(found, list):
        raise ConfigError(f"{name} in {file} is one value. Begin each with [[{name}]].")
    return found


def _of(file: Path, kind: type, said: Any, where: str) -> Any:
    """Return a dataclass of a table, each value of the type that it should have."""
    if not isinstance(said, Mapping):
        raise ConfigError(f"{where} in {file} is no table. Begin each with [[{where}]].")
    known = {one.name: one.type for one in fields(kind)}
    for name, value in said.items():
        full = f"{where}.{name}" if where else name
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigError(f"{full} in {file} is not known; known are {', '.join(known)}.{hint} Correct the name.")
        if isinstance(value, str) and not value.strip() and name not in _MAY_BE_EMPTY:
            raise ConfigError(f"{full} in {file} is empty. Fill it in, or leave it out.")
        if not _fits(value, known[name]):
            raise ConfigError(f"{full} in {file} is {value!r}, but must be {_WORDS[str(known[name])]}. Correct it.")
    lacking = [name for name in ("name", "identifier") if name in known and name not in said]
    if lacking:
        raise ConfigError(f"an entry of {where} in {file} has no {lacking[0]}. Add it.")
    return kind(**said)


_MAY_BE_EMPTY = frozenset({"description", "limits"})
_WORDS = {
    "<class 'str'>": "text",
    "str | None": "text",
    "<class 'bool'>": "true or false",
    "datetime.date | None": "a day such as 2026-11-28",
    "tuple[str, ...]": "a list of texts",
}


def _fits(value: Any, declared: Any) -> bool:
    word = _WORDS.get(str(declared))
    if word is None:  # people and related works, read already
        return True
    if word == "a list of texts":
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    kinds: dict[str, type] = {"text": str, "true or false": bool, "a day such as 2026-11-28": date}
    return isinstance(value, kinds[word])
