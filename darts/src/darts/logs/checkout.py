"""The commit of a checkout, read from git's own files: a process of git would take longer than a small command."""

from pathlib import Path

_INSTALLED = {"site-packages", "dist-packages"}


def commit_of(file: Path) -> str | None:
    """Return the commit of the checkout that a file of the code lies in, None if it is installed elsewhere."""
    if _INSTALLED & set(file.parts):
        return None
    try:
        place = next((folder / ".git" for folder in file.parents if (folder / ".git").exists()), None)
        return None if place is None else _commit(_git_folder(place))
    except (OSError, UnicodeError):
        return None


def _git_folder(place: Path) -> Path:
    """Return the folder of git; in a worktree, a file names it."""
    if place.is_dir():
        return place
    return place.parent / place.read_text(encoding="utf-8").removeprefix("gitdir:").strip()


def _commit(folder: Path) -> str | None:
    head = (folder / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return head or None
    name = head.removeprefix("ref:").strip()
    common = folder / "commondir"
    shared = folder / common.read_text(encoding="utf-8").strip() if common.exists() else folder
    loose = shared / name
    return loose.read_text(encoding="utf-8").strip() if loose.exists() else _packed(shared / "packed-refs", name)


def _packed(file: Path, name: str) -> str | None:
    lines = (line.split(" ", 1) for line in file.read_text(encoding="utf-8").splitlines() if " " in line)
    return next((commit for commit, known in lines if known == name), None)
