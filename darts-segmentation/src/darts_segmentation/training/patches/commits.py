"""Several files that change in one step, at any moment of a kill.

The files lie together in a hidden folder, and each name that readers know is a symbolic link that leads through one
more link, `.commit`, to them. To rename that single link changes all of them at once. `seal` puts plain files in the
place of the links when nothing will be added any more.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from darts_utils.errors import OutputError
from darts_utils.files import atomic_file, part_path, sync_path

_CURRENT = ".commit"


class Commits:
    """Files below a folder that change together.

    Args:
        folder: The folder.
        names: Path of each file below it, by a file name that no other one has.
    """

    def __init__(self, folder: Path, names: Mapping[str, Path]) -> None:
        self._folder = folder
        self._names = dict(names)

    @property
    def is_open(self) -> bool:
        """Whether the names are links, or were about to become plain files."""
        return (self._folder / _CURRENT).is_symlink()

    def commit(self, write: Mapping[str, Callable[[Path], object]]) -> None:
        """Change all files in one step.

        Args:
            write: For each name a function that writes the file.

        Raises:
            OutputError: If the file system has no symbolic links.
        """
        generation = self._folder / f"{_CURRENT}-{os.urandom(6).hex()}"
        generation.mkdir()
        for key, write_file in write.items():
            write_file(generation / key)
            sync_path(generation / key)
        sync_path(generation)
        before = self._generations() - {generation}
        self._put_link(generation.name, self._folder / _CURRENT)
        sync_path(self._folder)
        for old in before:
            shutil.rmtree(old, ignore_errors=True)

    def begin(self) -> None:
        """Let plain files become links, so that they can change together again; nothing changes for readers."""
        if not self.is_open:
            self.commit({key: _copy_of(self._folder / name) for key, name in self._names.items()})
        for key, name in self._names.items():
            upwards = Path(*[".."] * (len(name.parts) - 1))
            self._put_link(str(upwards / _CURRENT / key), self._folder / name)

    def seal(self) -> None:
        """Put plain files with the same content in the place of the links; nothing changes for readers."""
        for name in self._names.values():
            path = self._folder / name
            content = path.read_bytes()
            with atomic_file(path) as part:
                part.write_bytes(content)
        (self._folder / _CURRENT).unlink()
        for generation in self._generations():
            shutil.rmtree(generation, ignore_errors=True)

    def _generations(self) -> set[Path]:
        return set(self._folder.glob(f"{_CURRENT}-*"))

    def _put_link(self, target: str, path: Path) -> None:
        part = part_path(path)
        try:
            part.symlink_to(target)
        except OSError as error:
            raise OutputError(
                f"{self._folder} lies on a file system without symbolic links ({error.strerror}), which keep the parts "
                "of a data set in step while it is made. Make it on another one; a finished set can be copied anywhere."
            ) from error
        part.replace(path)


def _copy_of(source: Path) -> Callable[[Path], object]:
    return lambda target: target.write_bytes(source.read_bytes())
