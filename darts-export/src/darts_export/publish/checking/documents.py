"""Whether what a publication says of itself holds together: `datacite.json`, `provenance.json`, and verdicts."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from darts_export.publish import datacite, provenance
from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.reading import read_object
from darts_export.publish.checking.schemas import DATACITE, fault_of
from darts_export.publish.checking.tree import Tree
from darts_utils.text import counted

_SLUMPS, _VERDICTS = "inventory/slumps/", "inventory/verdicts/"
_MOST = 20
"""Relations of a kind that are told one by one."""
_AGAIN = "Publish the catalogue again."
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T[\d:.]+(Z|[+-]\d{2}:?\d{2})?)?)?)?")
_KNOWN_PREFIXES = frozenset({"_", "prov", "xsd", "xsi"})
_KINDS = ("entity", "activity", "agent")
_ENDS: dict[str, dict[str, str]] = {
    "used": {"prov:activity": "activity", "prov:entity": "entity"},
    "wasGeneratedBy": {"prov:entity": "entity", "prov:activity": "activity"},
    "wasInvalidatedBy": {"prov:entity": "entity", "prov:activity": "activity"},
    "wasStartedBy": {"prov:activity": "activity", "prov:trigger": "entity", "prov:starter": "activity"},
    "wasEndedBy": {"prov:activity": "activity", "prov:trigger": "entity", "prov:ender": "activity"},
    "wasInformedBy": {"prov:informed": "activity", "prov:informant": "activity"},
    "wasDerivedFrom": {"prov:generatedEntity": "entity", "prov:usedEntity": "entity", "prov:activity": "activity"},
    "wasAttributedTo": {"prov:entity": "entity", "prov:agent": "agent"},
    "wasAssociatedWith": {"prov:activity": "activity", "prov:agent": "agent", "prov:plan": "entity"},
    "actedOnBehalfOf": {"prov:delegate": "agent", "prov:responsible": "agent", "prov:activity": "activity"},
    "wasInfluencedBy": {"prov:influencee": "", "prov:influencer": ""},
    "specializationOf": {"prov:specificEntity": "entity", "prov:generalEntity": "entity"},
    "alternateOf": {"prov:alternate1": "entity", "prov:alternate2": "entity"},
    "hadMember": {"prov:collection": "entity", "prov:entity": "entity"},
}
"""What the ends of each relation of PROV must be, the one that it cannot lack first; any kind where it is empty."""


def check_verdicts(tree: Tree, findings: Findings) -> None:
    """Find verdicts on slumps that the inventory in a catalogue does not have."""
    tables = tree.ending(".parquet")
    judged = {slump: path for path in tables if path.startswith(_VERDICTS) for slump in _slumps_in(tree.place(path))}
    for path in tables if judged else ():
        if path.startswith(_SLUMPS):
            for slump in _slumps_in(tree.place(path)):
                judged.pop(slump, None)
    for path, n in Counter(judged.values()).items():
        what = f"has verdicts on {counted(n, 'slump')} that {_SLUMPS} does not have in that year"
        findings.add(path, what, "Run `darts inventory verdicts`, and publish the catalogue again.")


def _slumps_in(file: Path) -> Iterator[tuple[Any, Any]]:
    """Yield id and year of each row of a table, some rows at a time."""
    with pq.ParquetFile(file) as table:
        for rows in table.iter_batches(columns=["slump_id", "year"]):
            yield from zip(rows["slump_id"].to_pylist(), rows["year"].to_pylist(), strict=True)


def check_datacite(tree: Tree, findings: Findings) -> None:
    """Find what of `datacite.json` is not as DataCite 4.5 wants it."""
    said = read_object(tree, datacite.FILE, findings)
    if said is None:
        return
    fault = fault_of(said, DATACITE)
    if fault is not None:
        findings.add(datacite.FILE, f"is not valid (DataCite 4.5): {fault}", _AGAIN)
        return
    for entry in said.get("dates", ()):
        if not all(_is_date(one) for one in entry["date"].split("/")):
            findings.add(datacite.FILE, f"has the date {entry['date']!r}, which is none", "Write it as 2021-07-01.")


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return not text  # a range may have an open end
    try:
        datetime.fromisoformat(f"{text}-01-01"[:10] if len(text) < 10 else text)
    except ValueError:
        return False
    return True


def check_provenance(tree: Tree, findings: Findings) -> None:
    """Find relations of `provenance.json` that name what is not told of, names without a prefix, and wrong times."""
    said = read_object(tree, provenance.FILE, findings)
    if said is None:
        return
    _check_document(said, {kind: set() for kind in _KINDS}, findings)
    for name, bundle in _records(said, "bundle"):
        with findings.guarded(provenance.FILE):
            _check_document({"prefix": said.get("prefix", {}), **bundle}, _declared(said), findings, f"bundle {name}: ")


def _check_document(
    said: Mapping[str, Any], outer: Mapping[str, set[str]], findings: Findings, where: str = ""
) -> None:
    known = {kind: names | outer[kind] for kind, names in _declared(said).items()}
    faults: dict[str, list[str]] = {}
    for kind in _KINDS:
        for name, record in _records(said, kind):
            faults.setdefault(kind, []).extend(_faults_of_thing(name, record, said))
    for kind, ends in _ENDS.items():
        for name, record in _records(said, kind):
            faults.setdefault(kind, []).extend(_faults_of_relation(f"{kind} {name}", record, ends, known))
    for kind, found in faults.items():
        for what in found[:_MOST]:
            findings.add(provenance.FILE, f"{where}{what}", _AGAIN)
        if len(found) > _MOST:
            findings.add(provenance.FILE, f"{where}{counted(len(found) - _MOST, 'fault')} more of {kind}", _AGAIN)


def _declared(said: Mapping[str, Any]) -> dict[str, set[str]]:
    return {kind: {name for name, _ in _records(said, kind)} for kind in _KINDS}


def _records(said: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the records of a kind by name, of which one may have several."""
    for name, value in said.get(kind, {}).items():
        for record in value if isinstance(value, list) else [value]:
            yield name, record


def _faults_of_thing(name: str, record: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    prefix = name.partition(":")[0] if ":" in name else "default"
    if prefix not in said.get("prefix", {}) and prefix not in _KNOWN_PREFIXES:
        yield f"{name} has a prefix that is not declared"
    times = {}
    for key in ("prov:startTime", "prov:endTime"):
        try:
            times[key] = datetime.fromisoformat(record[key]) if key in record else None
        except (ValueError, TypeError):
            yield f"{name} has the {key} {record[key]!r}, which is no time"
    started, ended = times.get("prov:startTime"), times.get("prov:endTime")
    if started and ended and _is_after(started, ended):
        yield f"{name} ended before it started"


def _is_after(one: datetime, other: datetime) -> bool:
    return (one.tzinfo is None) == (other.tzinfo is None) and one > other


def _faults_of_relation(
    name: str, record: Mapping[str, Any], ends: Mapping[str, str], known: Mapping[str, set[str]]
) -> Iterator[str]:
    if next(iter(ends)) not in record:
        yield f"{name} lacks its {next(iter(ends))}"
    for role, kind in ends.items():
        named = record.get(role, [])
        for one in named if isinstance(named, list) else [named]:
            if not any(one in known[allowed] for allowed in ([kind] if kind else _KINDS)):
                yield f"{name} names the {role.removeprefix('prov:')} {one!r}, which is not told of"
