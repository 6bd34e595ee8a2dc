"""What lies in the folder of a catalogue. Nothing is followed that leads out of it, or waits for ever when read."""

import hashlib
import os
import posixpath
from dataclasses import dataclass, field
from pathlib import Path

from darts_export.publish.checking.findings import Findings


@dataclass
class Tree:
    """The files of a catalogue, by their paths below its folder, with `/`."""

    folder: Path
    sizes: dict[str, int] = field(default_factory=dict)
    """Of each regular file, in bytes."""
    folders: set[str] = field(default_factory=lambda: {""})
    is_ours: bool = False
    """Whether this program wrote it, as its root says."""
    _digests: dict[str, str] = field(default_factory=dict)

    def place(self, path: str) -> Path:
        """Return where a file lies."""
        return self.folder / path

    def ending(self, *suffixes: str) -> list[str]:
        """Return the files with some suffixes, whatever their case, in order."""
        return sorted(path for path in self.sizes if path.lower().endswith(suffixes))

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a file, which is read once."""
        if path not in self._digests:
            with self.place(path).open("rb") as file:
                self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digests[path]


def look(folder: Path, findings: Findings) -> Tree:
    """Return what lies in a folder; what is neither a file nor a folder in it is a finding, and left out."""
    tree, left = Tree(folder.resolve()), [""]
    while left:
        above = left.pop()
        try:
            with os.scandir(tree.place(above)) as entries:
                for entry in entries:
                    _look_at(entry, posixpath.join(above, entry.name), tree, findings, left)
        except OSError as error:
            findings.add(above or ".", f"cannot be looked into: {error.strerror}", "Ask for the right to read it.")
    return tree


def _look_at(entry: os.DirEntry[str], path: str, tree: Tree, findings: Findings, left: list[str]) -> None:
    if not _is_utf8(path):
        findings.add(path, "has a name that is not UTF-8", "Name it with letters, digits, '_', '-', '.'.")
    if entry.is_symlink() and not _leads_to_a_file_inside(entry, tree.folder):
        findings.add(path, "is a link that leads out of the folder, to nothing or to a folder", _INSTEAD)
    elif entry.is_dir(follow_symlinks=False):
        tree.folders.add(path)
        left.append(path)
    elif entry.is_file():
        tree.sizes[path] = entry.stat().st_size
    else:
        findings.add(path, "is neither a file nor a folder", "Remove it.")


_INSTEAD = "Put the file itself there, or remove it."


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _leads_to_a_file_inside(entry: os.DirEntry[str], folder: Path) -> bool:
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return target.is_relative_to(folder) and target.is_file()
