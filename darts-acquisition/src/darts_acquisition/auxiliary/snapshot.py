"""Which state of a datacube was read: it changes with every chunk that is staged."""

from pathlib import Path

import icechunk

from darts_acquisition.auxiliary.cube import cube_path


def cube_snapshot(data_dir: Path, name: str) -> str | None:
    """Return the id of the newest snapshot of a cube, None if there is no cube that can be opened.

    Args:
        data_dir: The cube's icechunk folder, or the folder that it is in.
        name: Name of the cube's folder there.
    """
    path = cube_path(data_dir, name)
    if not path.is_dir():
        return None  # icechunk panics over a file
    try:
        repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path.resolve())))
        return str(repository.lookup_branch("main"))
    except Exception:  # noqa: BLE001  (icechunk's errors share no class; that nothing was read has been said elsewhere)
        return None
