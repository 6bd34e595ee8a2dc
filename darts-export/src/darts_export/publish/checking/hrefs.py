"""Where links and assets lead: to a file of the catalogue, to a server, or where they must not."""

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from darts_export.publish.checking.tree import Tree

_SERVERS = frozenset({"http", "https", "s3", "gs", "ftp", "abfs", "az"})
_WITH_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_RELATIVE = "Give it from the file that has it, such as ./x.json or ../../x.tif."


@dataclass(frozen=True)
class Led:
    """Where an href leads."""

    path: str | None = None
    """To a file or folder of the catalogue."""
    fault: str | None = None
    """What is wrong with it, after its name."""
    advice: str = ""


def led(tree: Tree, base: str, href: str) -> Led:
    """Return where the href in a file leads; only the names of files are looked at.

    Args:
        tree: The catalogue.
        base: The file that has it.
        href: The href.
    """
    if _WITH_SCHEME.match(href):
        scheme = href.split(":", 1)[0].lower()
        return Led() if scheme in _SERVERS else Led(fault="leads to a place on one machine", advice=_RELATIVE)
    if href.startswith("/") or "\\" in href:
        return Led(fault="leads to a place on one machine", advice=_RELATIVE)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(urlsplit(href).path)))
    path = "" if path == "." else path
    if path.split("/")[0] == "..":
        return Led(fault="leads out of the folder", advice="Put what it leads to into the catalogue.")
    if path not in tree.sizes and path not in tree.folders:
        return Led(fault="leads to a file that is not there", advice="Put the file there, or remove the link.")
    return Led(path=path)
