"""How a publication came about: W3C PROV as JSON, with an entity for each image, model and product."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from darts_utils.errors import ConfigError

FILE = "provenance.json"
PREFIX = "darts"
_NAMESPACE = re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE)
_AGENTS = {"person": "prov:Person", "organisation": "prov:Organization", "software": "prov:SoftwareAgent"}

type Attributes = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, kw_only=True)
class Entity:
    """An input or a product: an image, an edition of terrain or trends, a model, reference data, a layer."""

    key: str
    """Its name in the document; no other entity, activity or agent has it."""
    kind: str
    """What it is, such as `image` or `model`."""
    label: str | None = None
    href: str | None = None
    """Where it is, or can be had."""
    attributes: Attributes = field(default_factory=dict)
    """What else is told of it, such as its checksum."""
    members: tuple[str, ...] = ()
    """Keys of the entities that it is a collection of: so all images of a run are used at once."""
    made_by: tuple[str, ...] = ()
    """Keys of the agents that answer for it."""
    derived_from: tuple[str, ...] = ()
    """Keys of the entities that it was made of."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Something that was done: a mapping run, an inventory, a review, the publication."""

    key: str
    kind: str
    label: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    used: tuple[str, ...] = ()
    """Keys of entities."""
    generated: tuple[str, ...] = ()
    """Keys of entities."""
    agents: tuple[str, ...] = ()
    """Keys of who or what did it."""
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A person, an organisation, or software in a version."""

    key: str
    name: str
    kind: str
    """`person`, `organisation` or `software`."""
    version: str | None = None
    href: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProvenanceFacts:
    """All that the provenance of a publication tells."""

    entities: Sequence[Entity]
    activities: Sequence[Activity]
    agents: Sequence[Agent]
    namespace: str = "urn:darts:"
    """What keys are names in, ending so that they can follow."""


def provenance_document(facts: ProvenanceFacts) -> dict[str, Any]:
    """Return provenance as PROV-JSON; equal facts give equal documents, in whatever order they come.

    Raises:
        ConfigError: If a key is there twice, or a relation names one that is not there.
    """
    _check(facts)
    document: dict[str, Any] = {
        "prefix": {PREFIX: facts.namespace},
        "entity": {_name(entity.key): _entity(entity) for entity in facts.entities},
        "activity": {_name(activity.key): _activity(activity) for activity in facts.activities},
        "agent": {_name(agent.key): _agent(agent) for agent in facts.agents},
    }
    for kind, (one, other, pairs) in _relations(facts).items():
        document[kind] = {
            f"_:{kind}{number}": {f"prov:{one}": _name(first), f"prov:{other}": _names(second)}
            for number, (first, second) in enumerate(sorted(set(pairs), key=str), start=1)
        }
    return {key: value for key, value in document.items() if value}


type Pairs = list[tuple[str, str | tuple[str, ...]]]


def _relations(facts: ProvenanceFacts) -> dict[str, tuple[str, str, Pairs]]:
    """Return the relations of each kind: what their ends are called, and which they join."""
    entities, activities = facts.entities, facts.activities
    collections: Pairs = [(one.key, tuple(sorted(one.members))) for one in entities if one.members]
    derived: Pairs = [(one.key, key) for one in entities for key in one.derived_from]
    return {
        "used": ("activity", "entity", [(one.key, key) for one in activities for key in one.used]),
        "wasGeneratedBy": ("entity", "activity", [(key, one.key) for one in activities for key in one.generated]),
        "wasAssociatedWith": ("activity", "agent", [(one.key, key) for one in activities for key in one.agents]),
        "wasAttributedTo": ("entity", "agent", [(one.key, key) for one in entities for key in one.made_by]),
        "wasDerivedFrom": ("generatedEntity", "usedEntity", derived),
        "hadMember": ("collection", "entity", collections),
    }


def _check(facts: ProvenanceFacts) -> None:
    if not _NAMESPACE.fullmatch(facts.namespace):
        raise ConfigError(f"the namespace {facts.namespace!r} is no URI. Give one such as urn:darts: or an address.")
    known: dict[str, set[str]] = {kind: set() for kind in ("entity", "activity", "agent")}
    for kind, things in (("entity", facts.entities), ("activity", facts.activities), ("agent", facts.agents)):
        for thing in things:
            if any(thing.key in keys for keys in known.values()):
                raise ConfigError(f"{thing.key!r} is the key of two things in the provenance. Give each its own.")
            known[kind].add(thing.key)
    for thing in facts.entities:
        _check_known(thing.key, (*thing.members, *thing.derived_from), known["entity"])
        _check_known(thing.key, thing.made_by, known["agent"])
    for done in facts.activities:
        _check_known(done.key, (*done.used, *done.generated), known["entity"])
        _check_known(done.key, done.agents, known["agent"])
    if wrong := sorted({agent.kind for agent in facts.agents} - _AGENTS.keys()):
        raise ConfigError(f"an agent is of the kind {wrong[0]!r}, but it must be one of {', '.join(_AGENTS)}.")


def _check_known(of: str, keys: Iterable[str], known: set[str]) -> None:
    for key in keys:
        if key not in known:
            raise ConfigError(
                f"{of!r} names {key!r}, which the provenance does not tell of. Tell of it, or leave it out."
            )


def _entity(entity: Entity) -> dict[str, Any]:
    told = {f"{PREFIX}:{name}": value for name, value in entity.attributes.items()}
    kind = {"prov:type": _qualified("prov:Collection")} if entity.members else {}
    return {f"{PREFIX}:kind": entity.kind, **kind, **_told("prov:label", entity.label), **told, **_place(entity.href)}


def _activity(activity: Activity) -> dict[str, Any]:
    told = {f"{PREFIX}:{name}": value for name, value in activity.attributes.items()}
    times = {**_time("prov:startTime", activity.started), **_time("prov:endTime", activity.ended)}
    return {f"{PREFIX}:kind": activity.kind, **_told("prov:label", activity.label), **times, **told}


def _agent(agent: Agent) -> dict[str, Any]:
    return {
        "prov:type": _qualified(_AGENTS[agent.kind]),
        "prov:label": agent.name,
        **_told(f"{PREFIX}:version", agent.version),
        **_place(agent.href),
    }


def _told(key: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {key: value}


def _time(key: str, value: datetime | None) -> dict[str, str]:
    return {} if value is None else {key: value.isoformat()}


def _place(href: str | None) -> dict[str, Any]:
    return {} if href is None else {"prov:location": {"$": href, "type": "xsd:anyURI"}}


def _qualified(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _name(key: str) -> str:
    """Return a key as a qualified name, in which few characters may stand."""
    return f"{PREFIX}:{quote(key, safe='')}"


def _names(keys: str | tuple[str, ...]) -> str | list[str]:
    return _name(keys) if isinstance(keys, str) else [_name(key) for key in keys]
