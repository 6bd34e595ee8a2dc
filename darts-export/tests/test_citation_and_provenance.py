"""How a publication is cited and came about: DataCite by its schema, PROV by the library of the format."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from published_catalogue import DATACITE, PROVENANCE

from darts_export.publish.changed import json_bytes
from darts_export.publish.checking import schemas
from darts_export.publish.checking.documents import check_datacite, check_provenance
from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.tree import look
from darts_export.publish.datacite import Creator, datacite_document, is_orcid
from darts_export.publish.provenance import Activity, Agent, Entity, ProvenanceFacts, provenance_document
from darts_utils.errors import ConfigError

SCHEMA = json.loads((Path(schemas.__file__).parents[1] / "schemas/datacite-4.5.json").read_text())


def found(folder: Path, name: str, content: bytes, check) -> list[str]:
    (folder / name).write_bytes(content)
    findings = Findings()
    check(look(folder, findings), findings)
    return [finding.what for finding in findings.found]


def test_the_citation_is_valid_by_the_schema():
    jsonschema.Draft201909Validator(SCHEMA).validate(datacite_document(DATACITE))


def test_a_citation_with_the_least_that_is_needed_is_valid():
    least = replace(
        DATACITE, creators=(Creator(name="A"),), subjects=(), dates=(), boxes=(), rights=(), related=(), formats=(),
        sizes=(), methods=None,
    )  # fmt: skip
    document = datacite_document(least)
    jsonschema.Draft201909Validator(SCHEMA).validate(document)
    assert sorted(document) == [
        "creators", "descriptions", "language", "publicationYear", "publisher", "schemaVersion", "titles", "types",
        "version",
    ]  # fmt: skip


def test_the_citation_says_what_was_given():
    document = datacite_document(replace(DATACITE, doi="10.5281/zenodo.1"))
    assert document["doi"] == "10.5281/zenodo.1"
    assert document["creators"][0]["nameIdentifiers"][0]["nameIdentifier"] == "https://orcid.org/0000-0002-1825-0097"
    assert document["creators"][0]["affiliation"] == [{"name": "Brown University"}]
    assert [one["nameType"] for one in document["creators"]] == ["Personal", "Organizational"]
    assert document["subjects"] == [{"subject": "permafrost"}, {"subject": "thaw slumps"}]
    boxes = [one["geoLocationBox"] for one in document["geoLocations"]]
    assert [(box["westBoundLongitude"], box["eastBoundLongitude"]) for box in boxes] == [(179.4, 180), (-180, -128.6)]
    assert [one["relatedIdentifierType"] for one in document["relatedIdentifiers"]] == ["DOI", "URL"]
    assert document["rightsList"][0]["rightsIdentifier"] == "CC-BY-4.0"
    assert document["types"] == {"resourceType": "Dataset", "resourceTypeGeneral": "Dataset"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"creators": ()}, "a publication needs at least one creator. Name those who made it."),
        ({"publication_year": 26}, "the year of publication is 26, but four digits are needed."),
        (
            {"doi": "https://doi.org/10.5281/zenodo.1"},
            "'https://doi.org/10.5281/zenodo.1' is no DOI. "
            "Give it as 10.5281/zenodo.123, without an address before it.",
        ),
        (
            {"creators": (Creator(name="A", orcid="0000-0002-1825-0098"),)},
            "'0000-0002-1825-0098' is no ORCID of A. Give its sixteen digits with hyphens.",
        ),
    ],
)
def test_what_is_no_citation_is_refused(change, message):
    with pytest.raises(ConfigError) as refused:
        datacite_document(replace(DATACITE, **change))
    assert str(refused.value) == message


def test_an_orcid_is_known_by_its_last_digit():
    known = ["0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X"]  # those that ORCID shows
    assert all(map(is_orcid, known))
    assert not any(is_orcid(f"{one[:-1]}{digit}") for one in known for digit in "0123456789X" if digit != one[-1])


@pytest.mark.parametrize(
    "date", ["2021", "2021-07", "2021-07-01", "2021-07-01T12:00:00Z", "2021/2022-03", "2021-07-01/"]
)
def test_dates_and_ranges_of_datacite_are_sound(tmp_path, date):
    document = datacite_document(replace(DATACITE, dates=((date, "Collected"),)))
    assert found(tmp_path, "datacite.json", json_bytes(document), check_datacite) == []


@pytest.mark.parametrize("date", ["21", "2021-13", "2021-02-30", "July 2021", "2021-07-01T25:00:00Z", "2021/July"])
def test_what_is_no_date_is_found(tmp_path, date):
    document = datacite_document(replace(DATACITE, dates=((date, "Collected"),)))
    what = found(tmp_path, "datacite.json", json_bytes(document), check_datacite)
    assert what == [f"has the date {date!r}, which is none"]


@pytest.fixture
def prov() -> Any:
    """The library of the format, which packages that are tested alone do not bring."""
    return pytest.importorskip("prov.model", reason="needs prov").ProvDocument


def test_the_library_reads_what_was_given(prov):
    read = prov.deserialize(content=json_bytes(provenance_document(PROVENANCE)).decode(), format="json")
    assert len(read.get_records()) == 13 + 2 + 5 + 2 + 3 + 2 + 4
    lines = [line.strip() for line in read.get_provn().split("\n")]
    assert "hadMember(darts:images%20of%20run%201, darts:S2A_2021_a)" in lines
    assert "used(darts:run%201, darts:tiny, -)" in lines
    assert "wasGeneratedBy(darts:maps%2F2021, darts:run%201, -)" in lines
    assert "wasDerivedFrom(darts:slumps, darts:maps%2F2021, -, -, -)" in lines
    assert "wasAssociatedWith(darts:review, darts:josiah, -)" in lines
    assert "wasAttributedTo(darts:tiny, darts:developers)" in lines
    (run,) = [one for one in read.get_records() if str(one.identifier) == "darts:run%201"]
    assert (run.get_startTime(), run.get_endTime()) == (
        datetime(2026, 10, 2, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC),
    )  # fmt: skip
    (agent,) = [one for one in read.get_records() if str(one.identifier) == "darts:darts"]
    assert [str(kind) for kind in agent.get_asserted_types()] == ["prov:SoftwareAgent"]


def test_what_the_library_writes_again_is_the_same_to_it(prov):
    read = prov.deserialize(content=json_bytes(provenance_document(PROVENANCE)).decode(), format="json")
    assert prov.deserialize(content=read.serialize(format="json"), format="json") == read


def test_what_the_library_writes_is_found_sound(prov, tmp_path):
    document = prov()
    document.add_namespace("ex", "http://example.org/")
    for name in ("ex:a", "ex:b"):
        document.entity(name)
    document.agent("ex:me")
    document.activity("ex:do", "2021-07-01T00:00:00", "2021-07-02T00:00:00")
    document.wasGeneratedBy("ex:b", "ex:do", "2021-07-02T00:00:00")
    document.used("ex:do", "ex:a", identifier="ex:use")
    document.wasDerivedFrom("ex:b", "ex:a", "ex:do")
    document.wasInfluencedBy("ex:b", "ex:me")
    document.collection("ex:c")
    document.hadMember("ex:c", "ex:a")
    document.hadMember("ex:c", "ex:b")
    bundle = document.bundle("ex:bundle")
    bundle.entity("ex:inner")
    bundle.wasAttributedTo("ex:inner", "ex:me")
    content = document.serialize(format="json").encode()
    assert found(tmp_path, "provenance.json", content, check_provenance) == []
    bundle.specializationOf("ex:inner", "ex:nothing")
    assert found(tmp_path, "provenance.json", document.serialize(format="json").encode(), check_provenance) == [
        "bundle ex:bundle: specializationOf _:id2 names the generalEntity 'ex:nothing', which is not told of"
    ]


def test_equal_facts_give_equal_bytes_in_whatever_order_they_come():
    turned = replace(
        PROVENANCE, entities=PROVENANCE.entities[::-1], activities=PROVENANCE.activities[::-1],
        agents=PROVENANCE.agents[::-1],
    )  # fmt: skip
    assert json_bytes(provenance_document(turned)) == json_bytes(provenance_document(PROVENANCE))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"agents": [*PROVENANCE.agents, Agent(key="tiny", name="x", kind="person")]},
            "'tiny' is the key of two things in the provenance. Give each its own.",
        ),
        (
            {"activities": [Activity(key="a", kind="mapping", used=("none",))]},
            "'a' names 'none', which the provenance does not tell of. Tell of it, or leave it out.",
        ),
        (
            {"entities": [*PROVENANCE.entities, Entity(key="e", kind="map", made_by=("tiny",))]},
            "'e' names 'tiny', which the provenance does not tell of. Tell of it, or leave it out.",
        ),
        (
            {"agents": [*PROVENANCE.agents, Agent(key="x", name="x", kind="robot")]},
            "an agent is of the kind 'robot', but it must be one of person, organisation, software.",
        ),
        (
            {"namespace": "here"},
            "the namespace 'here' is no URI. Give one such as urn:darts: or an address.",
        ),
    ],
)
def test_what_is_no_provenance_is_refused(change, message):
    with pytest.raises(ConfigError) as refused:
        provenance_document(replace(PROVENANCE, **change))
    assert str(refused.value) == message


def test_twenty_thousand_images_are_an_entity_each_and_few_relations(tmp_path):
    images = [
        Entity(key=f"S2A_MSIL2A_2021_{i:06d}", kind="image", href=f"https://example.org/{i}") for i in range(20_000)
    ]
    whole = Entity(key="images", kind="images", members=tuple(image.key for image in images))
    run = Activity(key="run", kind="mapping", used=("images",))
    document = provenance_document(ProvenanceFacts(entities=[*images, whole], activities=[run], agents=[]))
    content = json_bytes(document)
    assert len(document["entity"]) == 20_001
    assert len(document["used"]) == len(document["hadMember"]) == 1
    assert len(content) < 6_000_000
    assert found(tmp_path, "provenance.json", content, check_provenance) == []


def test_many_faults_of_a_kind_are_told_together(tmp_path):
    document = provenance_document(PROVENANCE)
    document["used"] = {f"_:u{i}": {"prov:activity": "darts:review", "prov:entity": "darts:none"} for i in range(5000)}
    what = found(tmp_path, "provenance.json", json_bytes(document), check_provenance)
    assert len(what) == 21
    assert what[-1] == "4,980 faults more of used"


def test_documents_are_the_same_in_another_process():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from published_catalogue import *; "
        "sys.stdout.buffer.write(json_bytes(provenance_document(PROVENANCE)) + json_bytes(datacite_document(DATACITE)))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    other = subprocess.run(command, capture_output=True, check=True, env={"PYTHONHASHSEED": "7"}).stdout
    assert other == json_bytes(provenance_document(PROVENANCE)) + json_bytes(datacite_document(DATACITE))
