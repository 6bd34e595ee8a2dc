"""How a publication is cited: metadata of DataCite 4.5 as JSON, with or before a DOI."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from darts_utils.errors import ConfigError

FILE = "datacite.json"
SCHEMA_VERSION = "http://datacite.org/schema/kernel-4"
_ORCID = re.compile(r"(\d{4})-(\d{4})-(\d{4})-(\d{3}[\dX])")
_DOI = re.compile(r"10\.\d{4,9}/\S+")
_BEFORE_DOI = re.compile(r"(https?://(dx\.)?doi\.org/|doi:)", re.IGNORECASE)
_YEAR = re.compile(r"\d{4}")


@dataclass(frozen=True, kw_only=True)
class Creator:
    """A person or an organisation that made the data."""

    name: str
    """Of a person `Family, Given`."""
    given_name: str | None = None
    family_name: str | None = None
    orcid: str | None = None
    """Sixteen digits with hyphens; with it the name is a person's."""
    affiliations: tuple[str, ...] = ()
    is_organisation: bool = False


@dataclass(frozen=True, kw_only=True)
class Related:
    """A paper, a data set or a model that the data stand on."""

    identifier: str
    """A DOI without an address before it, or an address."""
    relation: str
    """Of DataCite, such as `IsDerivedFrom`, `References`, `IsDocumentedBy`."""
    resource_type: str | None = None
    """General type of DataCite, such as `Dataset`, `JournalArticle`, `Model`."""


@dataclass(frozen=True, kw_only=True)
class Right:
    """A licence."""

    name: str
    href: str | None = None
    spdx: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataciteFacts:
    """What is told of a publication to those who cite it."""

    title: str
    creators: tuple[Creator, ...]
    publisher: str
    publication_year: int
    version: str
    abstract: str
    methods: str | None = None
    subjects: tuple[str, ...] = ()
    dates: tuple[tuple[str, str], ...] = ()
    """Each a date or a range with `/`, and what it is: `Collected`, `Created`, `Issued`."""
    boxes: tuple[Sequence[float], ...] = ()
    """West, south, east and north in degrees; the western end is the larger one across the antimeridian."""
    rights: tuple[Right, ...] = ()
    related: tuple[Related, ...] = ()
    formats: tuple[str, ...] = ()
    """Media types."""
    sizes: tuple[str, ...] = ()
    language: str = "en"
    doi: str | None = None


def datacite_document(facts: DataciteFacts) -> dict[str, Any]:
    """Return the metadata of a publication as DataCite 4.5 has it, without a DOI where none is given yet.

    Raises:
        ConfigError: If there is no creator, or an ORCID, the DOI or the year is none.
    """
    _check(facts)
    document: dict[str, Any] = {
        "schemaVersion": SCHEMA_VERSION,
        "types": {"resourceType": "Dataset", "resourceTypeGeneral": "Dataset"},
        "titles": [{"title": facts.title}],
        "creators": [_creator(creator) for creator in facts.creators],
        "publisher": {"name": facts.publisher},
        "publicationYear": str(facts.publication_year),
        "version": facts.version,
        "language": facts.language,
        "descriptions": _descriptions(facts),
        "subjects": [{"subject": subject} for subject in _once(facts.subjects)],
        "dates": [{"date": date, "dateType": kind} for date, kind in _once(facts.dates)],
        "geoLocations": [location for box in facts.boxes for location in locations_of(box)],
        "rightsList": [_right(right) for right in facts.rights],
        "relatedIdentifiers": [_related(related) for related in facts.related],
        "formats": _once(facts.formats),
        "sizes": _once(facts.sizes),
        "doi": facts.doi,
    }
    return {key: value for key, value in document.items() if value not in (None, [])}


def _check(facts: DataciteFacts) -> None:
    if not facts.creators:
        raise ConfigError("a publication needs at least one creator. Name those who made it.")
    if not _YEAR.fullmatch(str(facts.publication_year)):
        raise ConfigError(f"the year of publication is {facts.publication_year}, but four digits are needed.")
    if facts.doi is not None and not _DOI.fullmatch(facts.doi):
        raise ConfigError(f"{facts.doi!r} is no DOI. Give it as 10.5281/zenodo.123, without an address before it.")
    for creator in facts.creators:
        if creator.orcid is not None and not is_orcid(creator.orcid):
            raise ConfigError(f"{creator.orcid!r} is no ORCID of {creator.name}. Give its sixteen digits with hyphens.")


def doi_of(text: str) -> str | None:
    """Return a DOI without `doi:` or an address before it, None if a text is none."""
    plain = _BEFORE_DOI.sub("", text)
    return plain if _DOI.fullmatch(plain) else None


def is_orcid(text: str) -> bool:
    """Return whether a text is an ORCID, whose last digit is a checksum of the others (ISO 7064 MOD 11-2)."""
    if not _ORCID.fullmatch(text):
        return False
    total = 0
    for digit in text.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    return text[-1] == "0123456789X"[(12 - total % 11) % 11]


def _creator(creator: Creator) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": creator.name,
        "nameType": "Organizational" if creator.is_organisation else "Personal",
        "givenName": creator.given_name,
        "familyName": creator.family_name,
        "affiliation": [{"name": name} for name in _once(creator.affiliations)] or None,
    }
    if creator.orcid is not None:
        told["nameIdentifiers"] = [
            {
                "nameIdentifier": f"https://orcid.org/{creator.orcid}",
                "nameIdentifierScheme": "ORCID",
                "schemeUri": "https://orcid.org",
            }
        ]
    return _known(told)


def _descriptions(facts: DataciteFacts) -> list[dict[str, str]]:
    given = {"Abstract": facts.abstract, "Methods": facts.methods}
    return [{"description": text, "descriptionType": kind} for kind, text in given.items() if text is not None]


def locations_of(box: Sequence[float]) -> list[dict[str, Any]]:
    """Return a box as DataCite has it, in two where it crosses the antimeridian."""
    west, south, east, north = box
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return [
        {
            "geoLocationBox": {
                "westBoundLongitude": one,
                "eastBoundLongitude": other,
                "southBoundLatitude": south,
                "northBoundLatitude": north,
            }
        }
        for one, other in spans
    ]


def _right(right: Right) -> dict[str, Any]:
    told = {"rights": right.name, "rightsUri": right.href, "rightsIdentifier": right.spdx}
    if right.spdx is not None:
        told |= {"rightsIdentifierScheme": "SPDX", "schemeUri": "https://spdx.org/licenses/"}
    return _known(told)


def _related(related: Related) -> dict[str, Any]:
    return _known(
        {
            "relatedIdentifier": related.identifier,
            "relatedIdentifierType": "DOI" if _DOI.fullmatch(related.identifier) else "URL",
            "relationType": related.relation,
            "resourceTypeGeneral": related.resource_type,
        }
    )


def _known(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if value is not None}


def _once[T](values: Sequence[T]) -> list[T]:
    """Return values without those that come again, which DataCite does not take."""
    return list(dict.fromkeys(values))
