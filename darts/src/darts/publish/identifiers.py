"""What of a publication's words must be right for others: DOIs, ORCIDs, relations, a licence."""

import re
from dataclasses import replace

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from darts.publish.about import NO_LICENCE, About, Person, Related
from darts_export.publish.checking.schemas import relation_types
from darts_export.publish.datacite import doi_of, is_orcid
from darts_utils.errors import ConfigError, did_you_mean

_ADDRESS = re.compile(r"https?://[^\s/]+\S*")
_OF_ORCID = re.compile(r"https?://orcid\.org/")


def with_plain_identifiers(about: About, where: str) -> About:
    """Return what people say of a publication with DOIs and ORCIDs without addresses before them.

    Args:
        about: What they say.
        where: The file that says so, for messages.

    Raises:
        ConfigError: If a DOI, an ORCID, a relation, a licence or an address is none.
    """
    doi = about.doi if about.doi is None else doi_of(about.doi)
    if about.doi is not None and doi is None:
        raise ConfigError(f"doi in {where} is {about.doi!r}, but must be one such as 10.5281/zenodo.123. Correct it.")
    if about.licence_url is not None and not _ADDRESS.fullmatch(about.licence_url):
        raise ConfigError(f"licence_url in {where} is {about.licence_url!r}, not an address. Begin it https://.")
    people = tuple(_person(one, where) for one in about.creators)
    twice = {one.name for one in people if [other.name for other in people].count(one.name) > 1}
    if twice:
        raise ConfigError(f"{min(twice)} is named twice among creators in {where}. Name each once, or add initials.")
    related = tuple(_related(one, where) for one in about.related)
    return replace(about, doi=doi, licence=_licence(about, where), creators=people, related=related)


def spdx_of(licence: str) -> str | None:
    """Return a licence as SPDX writes it, None if it does not know it."""
    try:
        return str(canonicalize_license_expression(licence))
    except InvalidLicenseExpression:
        return None


def _licence(about: About, where: str) -> str:
    known = spdx_of(about.licence)
    if known is None and about.licence != NO_LICENCE and about.licence_url is None:
        raise ConfigError(
            f"licence in {where} is {about.licence!r}, which is no identifier of SPDX such as CC-BY-4.0. Give one "
            "(see https://spdx.org/licenses), or say with licence_url where it can be read."
        )
    return known or about.licence


def _person(one: Person, where: str) -> Person:
    if one.orcid is None:
        return one
    orcid = _OF_ORCID.sub("", one.orcid)
    if not is_orcid(orcid):
        raise ConfigError(
            f"orcid of {one.name} in {where} is {one.orcid!r}, whose digits do not fit together. Give it as "
            "0000-0002-1825-0097."
        )
    return replace(one, orcid=orcid)


def _related(one: Related, where: str) -> Related:
    known = relation_types()
    if one.relation not in known:
        hint = did_you_mean(one.relation, known)
        raise ConfigError(
            f"related.relation in {where} is {one.relation!r}; DataCite has {', '.join(known)}.{hint} Give one."
        )
    doi = doi_of(one.identifier)
    if doi is None and not _ADDRESS.fullmatch(one.identifier):
        raise ConfigError(
            f"related.identifier in {where} is {one.identifier!r}, but must be a DOI such as 10.5281/zenodo.123, or an "
            "address that begins with https:// and has no spaces. Correct it."
        )
    return one if doi is None else replace(one, identifier=doi)
