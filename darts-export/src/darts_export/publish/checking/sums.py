"""Whether `checksums.sha256` is true and complete."""

import posixpath

from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.reading import MOST_BYTES
from darts_export.publish.checking.tree import Tree
from darts_export.publish.checksums import FILE, is_beside, parsed
from darts_utils.text import counted

_AGAIN = "Write the checksums again."
_COPY = "Copy the file anew; if it was changed on purpose, write the checksums again."


def check_sums(tree: Tree, findings: Findings) -> None:
    """Find files that are missing, changed or not listed, and lines that say nothing; every file is read."""
    if tree.sizes[FILE] > MOST_BYTES:
        findings.add(FILE, f"has more than {MOST_BYTES:,} bytes", _AGAIN)
        return
    listed: set[str] = set()
    spoiled = []
    for number, digest, path in parsed(tree.place(FILE).read_bytes()):
        if not path or not _is_inside(path):
            spoiled.append(number)
        elif path in listed:
            findings.add(FILE, f"lists {path} twice", _AGAIN)
        else:
            listed.add(path)
            _check_listed(tree, path, digest, findings)
    if spoiled:
        what = f"has {counted(len(spoiled), 'line')} without a checksum and the name of a file in the folder"
        findings.add(FILE, f"{what}, the first is line {spoiled[0]}", _AGAIN)
    for path in sorted(tree.sizes.keys() - listed - {FILE}):
        if not is_beside(path, listed):
            findings.add(path, f"is not listed in {FILE}", "Remove it, or write the checksums again.")


def _check_listed(tree: Tree, path: str, digest: str, findings: Findings) -> None:
    if path not in tree.sizes:
        findings.add(path, f"is listed in {FILE}, but is not there", "Copy it again.")
        return
    with findings.guarded(path):
        if tree.digest(path) != digest:
            findings.add(path, f"has another checksum than {FILE} says", _COPY)


def _is_inside(path: str) -> bool:
    """Return whether a path is one of a file in the folder, in its plain form."""
    return not path.startswith("/") and posixpath.normpath(path) == path and path.split("/")[0] not in (".", "..")
