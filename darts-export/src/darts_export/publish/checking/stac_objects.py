"""The STAC objects of a catalogue, gone over by their links from the root: valid, linked, named once."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.hrefs import led
from darts_export.publish.checking.items import Extent, check_item, extent_of
from darts_export.publish.checking.reading import read_object
from darts_export.publish.checking.schemas import CORE, STAND_INS, NotAtHandError, fault_of
from darts_export.publish.checking.tree import Tree
from darts_export.publish.stac import names

MOST_BYTES = 32 * 2**20
"""Of an object: a collection of 100,000 items has 11 megabytes."""
DEEPEST = 32
"""Catalogues in one another."""
_MOST_EXTENSIONS = 40
_KINDS = {"Catalog": "catalog", "Collection": "collection", "Feature": "item"}
_BELOW = {"child": ("Catalog", "Collection"), "item": ("Feature",)}
_FIT = "Correct the entry, or publish the catalogue again."


type Above = tuple[str, ...]
"""Files of the objects above one, the root first."""


@dataclass
class StacWalk:
    """What is known while the objects of a catalogue are gone over."""

    tree: Tree
    findings: Findings
    seen: dict[str, Above] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    """Where each id was seen first, by the collection that it must be unique in."""
    extents: dict[str, tuple[str, Extent]] = field(default_factory=dict)
    """Of collections by their files, with their ids."""

    def go(self) -> None:
        """Go over all objects that links lead to from the root, and look for those to which none leads."""
        if names.ROOT not in self.tree.sizes:
            self.findings.add(names.ROOT, "is not there", "Give the folder that has the catalogue's root in it.")
            return
        left: deque[tuple[str, str, Above]] = deque([(names.ROOT, "root", ())])
        while left:
            left.extend(self._visit(*left.popleft()))
        self._find_orphans()

    def _visit(self, path: str, rel: str, above: Above) -> list[tuple[str, str, Above]]:
        if path in self.seen:
            return []
        said = read_object(self.tree, path, self.findings, most_bytes=MOST_BYTES)
        kind = str((said or {}).get("type"))
        self.seen[path] = above
        if said is None:
            return []
        if kind not in _KINDS or kind not in _BELOW.get(rel, _KINDS):
            self.findings.add(path, f"has the type {kind!r}, which a link with rel {rel!r} does not lead to", _FIT)
            return []
        if not above:
            self.tree.is_ours = names.OURS in said
        below: list[tuple[str, str, Above]] = []
        with self.findings.guarded(path):
            self._check_schemas(path, said, kind)
        with self.findings.guarded(path):
            below = list(self._links(path, said, above))
        with self.findings.guarded(path):
            self._check_identity(path, said, kind, above)
        with self.findings.guarded(path):
            self._check_content(path, said, kind)
        return below

    def _check_schemas(self, path: str, said: Mapping[str, Any], kind: str) -> None:
        extensions = said.get("stac_extensions") or []
        core = CORE.format(version=said.get("stac_version"), kind=_KINDS[kind])
        named = dict.fromkeys(one for one in extensions if isinstance(one, str))
        for uri in islice([core, *named], _MOST_EXTENSIONS):
            try:
                fault = fault_of(said, uri)
            except NotAtHandError as missing:
                self.findings.add(path, f"is not checked whole: the schema {missing} is not at hand", _ELSEWHERE)
                continue
            if fault is not None:
                label = f"STAC {said['stac_version']}" if uri == core else _label(uri)
                self.findings.add(path, f"is not valid ({label}): {fault}", _FIT)

    def _links(self, path: str, said: Mapping[str, Any], above: Above) -> Iterator[tuple[str, str, Above]]:
        """Yield what lies below an object; what is wrong with its links is a finding."""
        for link in said.get("links") or []:
            rel, href = (link.get("rel"), link.get("href")) if isinstance(link, dict) else (None, None)
            if not isinstance(rel, str) or not isinstance(href, str):
                continue  # which the schema says already
            where = led(self.tree, path, href)
            if where.fault is not None:
                self.findings.add(path, f"has a link ({rel}) {href} that {where.fault}", where.advice)
            elif where.path is not None:
                self._check_kin(path, rel, where.path, above)
                if rel in _BELOW and self._is_new_below(path, where.path, above):
                    yield where.path, rel, (*above, path)

    def _check_kin(self, path: str, rel: str, target: str, above: Above) -> None:
        expected = {"root": names.ROOT, "parent": above[-1] if above else path, "self": path}.get(rel, target)
        if target != expected:
            self.findings.add(path, f"has a link ({rel}) to {target}, but that is {expected}", "Correct the link.")

    def _is_new_below(self, path: str, target: str, above: Above) -> bool:
        if target not in self.tree.sizes:
            self.findings.add(path, f"links to the folder {target or '.'} as below it", "Link the file in it.")
            return False
        if target in (*above, path):
            self.findings.add(path, f"links to {target} as below it, which is above it", "Remove one of the links.")
            return False
        if len(above) >= DEEPEST:
            self.findings.add(path, f"lies deeper than {DEEPEST} catalogues in one another", "Build it flatter.")
            return False
        return target not in self.seen

    def _check_identity(self, path: str, said: Mapping[str, Any], kind: str, above: Above) -> None:
        identity = said.get("id")
        if not isinstance(identity, str):
            return
        scope = f"items of {above[-1] if above else path}" if kind == "Feature" else "catalogues"
        first = self.ids.setdefault((scope, identity), path)
        if first != path:
            self.findings.add(path, f"has the id {identity!r}, which {first} has too", "Give each an id of its own.")
        if kind == "Feature":
            self._check_collection(path, said, above)

    def _check_collection(self, path: str, said: Mapping[str, Any], above: Above) -> None:
        known = next((self.extents[one][0] for one in reversed(above) if one in self.extents), None)
        if known is not None and said.get("collection") != known:
            self.findings.add(path, f"names the collection {said.get('collection')!r}, but lies in {known!r}", _FIT)

    def _check_content(self, path: str, said: Mapping[str, Any], kind: str) -> None:
        if kind == "Collection":
            self.extents[path] = (str(said.get("id")), extent_of(said))
        above = self.seen[path]
        around = next((self.extents[one][1] for one in reversed(above) if one in self.extents), None)
        check_item(self.tree, path, said, around, self.findings)

    def _find_orphans(self) -> None:
        folders = {path.rpartition("/")[0] for path in self.seen} - {""}
        for path in self.tree.ending(".json"):
            if path.rpartition("/")[0] in folders and path not in self.seen:
                self.findings.add(path, "lies among the items, but no link leads to it", "Remove it, or link it.")


def _label(uri: str) -> str:
    """Return the name and version of an extension, and which older one it was checked by."""
    name, version = uri.split("/")[-3:-1]
    return f"{name} {version}" if uri not in STAND_INS else f"{name} {version}, by its {STAND_INS[uri].split('/')[-2]}"


_ELSEWHERE = "Check it with another program that may ask the network."
