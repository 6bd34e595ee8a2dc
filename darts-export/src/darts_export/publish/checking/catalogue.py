"""Checks a catalogue whole: links, metadata, rasters, tables, archives, checksums."""

from pathlib import Path

from darts_export.publish import checksums, datacite, provenance
from darts_export.publish.checking.archives import check_pmtiles
from darts_export.publish.checking.documents import check_datacite, check_provenance, check_verdicts
from darts_export.publish.checking.findings import Finding, Findings
from darts_export.publish.checking.geoparquet import check_geoparquet
from darts_export.publish.checking.items import Extent
from darts_export.publish.checking.own import fault_of_cited_places
from darts_export.publish.checking.reading import read_object
from darts_export.publish.checking.stac_objects import StacWalk
from darts_export.publish.checking.sums import check_sums
from darts_export.publish.checking.tree import Tree, look
from darts_export.publish.stac import names
from darts_utils.errors import MissingDataError

_BY_SUFFIX = {".parquet": check_geoparquet, ".pmtiles": check_pmtiles}
_DOCUMENTS = {
    checksums.FILE: check_sums,
    datacite.FILE: check_datacite,
    provenance.FILE: check_provenance,
}


def check_catalogue(folder: Path) -> list[Finding]:
    """Return what is wrong with a catalogue, whoever made it, by file; nothing if all is as it says.

    Looked at are: STAC objects by the schemas that they name, their links, ids, places and times; files of assets with
    size and checksum; GeoTIFFs, their layout and grid; GeoParquet, outline by outline; PMTiles; `checksums.sha256`,
    `datacite.json` and `provenance.json`; of a catalogue of this program also that nothing of it is lacking, that
    verdicts are on slumps that are there, and statistics of rasters. Nothing is asked of the network, nothing outside
    of the folder is read, and what could not be checked is a finding too. Every file is read once, but for the ids of
    slumps; of tables some rows are in memory at a time.

    Args:
        folder: With `catalog.json` in it.

    Raises:
        MissingDataError: If there is no such folder.
    """
    if not folder.is_dir():
        raise MissingDataError(f"there is no folder {folder}. Give the folder of a catalogue.")
    findings = Findings()
    tree = look(folder, findings)
    walk = StacWalk(tree, findings)
    walk.go()
    for suffix, check in _BY_SUFFIX.items():
        for path in tree.ending(suffix):
            with findings.guarded(path):
                check(tree, path, findings)
    _check_documents(tree, findings)
    if tree.is_ours and names.MAP in walk.extents and datacite.FILE in tree.sizes:
        with findings.guarded(datacite.FILE):
            _check_cited_place(tree, walk.extents[names.MAP][1], findings)
    if tree.is_ours:
        with findings.guarded("inventory/verdicts"):
            check_verdicts(tree, findings)
    return findings.sorted()


def _check_cited_place(tree: Tree, extent: Extent, findings: Findings) -> None:
    """Compare the places for those who cite it with that of the collection of maps."""
    said = read_object(tree, datacite.FILE, findings)
    fault = None if said is None else fault_of_cited_places(said, extent.ground)
    if fault is not None:
        findings.add(datacite.FILE, fault, "Publish the catalogue again.")


def _check_documents(tree: Tree, findings: Findings) -> None:
    for name, check in _DOCUMENTS.items():
        if name in tree.sizes:
            with findings.guarded(name):
                check(tree, findings)
        elif tree.is_ours:
            findings.add(name, "is not there", "Copy it again, or publish the catalogue again.")
