"""Links between the objects of a catalogue, all from the file that has them, so that the folder can be moved."""

import pystac

from darts_export.publish.stac import names
from darts_export.publish.stac.files import href_from


def family(path: str, parent: str, *, is_item: bool = False) -> list[pystac.Link]:
    """Return the links of an object to the root, its parent, and its collection if it is an item.

    Args:
        path: Of the object, below the catalogue's folder.
        parent: Of the object above it.
        is_item: Whether its parent is a collection that it belongs to.
    """
    kin = [("root", names.ROOT), ("parent", parent), *([("collection", parent)] if is_item else [])]
    return [pystac.Link(rel=rel, target=href_from(path, target), media_type=names.JSON) for rel, target in kin]


def link(rel: str, path: str, target: str, media_type: str, title: str | None = None) -> pystac.Link:
    """Return a link from one file of the catalogue to another."""
    return pystac.Link(rel=rel, target=href_from(path, target), media_type=media_type, title=title)
