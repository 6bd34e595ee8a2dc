"""Ways in which any file or JSON value can be spoiled; all random choices come from the generator that is given."""

import copy
import json
import shutil


class DEEP:
    """Stands for lists within lists, deeper than any reader should follow; a class, of which there are no copies."""


_DEPTH = 100_000
JUNK = (
    None, True, False, 0, -1, 7, 1e308, -1e308, 10**30, float("nan"), float("inf"), "", " ", "nan", "null", "x" * 5000,
    "../../../canary", "/etc/passwd", "\x00", "caf\u00e9\u202e\n", [], {}, [[]], {"a": {"b": None}}, [None] * 50, DEEP,
)  # fmt: skip


def cut(path, rng):
    """Keep only the beginning of a file."""
    raw = path.read_bytes()
    path.write_bytes(raw[: rng.randrange(1, max(len(raw), 2))])


def flip(path, rng, among=None, times=3):
    """Flip a few bits of a file, those in a range of bytes if it is given."""
    raw = bytearray(path.read_bytes())
    for _ in range(times):
        raw[rng.randrange(*(among or (0, len(raw))))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def fill(path, rng):
    """Overwrite a part of a file with zeros, as a disk that lost a block."""
    raw = bytearray(path.read_bytes())
    start = rng.randrange(len(raw))
    length = min(len(raw) - start, rng.choice([16, 64, 512]))
    raw[start : start + length] = bytes(length)
    path.write_bytes(raw)


def noise(path, rng):
    """Put random bytes in place of a file."""
    path.write_bytes(rng.randbytes(rng.choice([1, 7, 100, 5000])))


def empty(path, rng):
    """Leave nothing of a file but its name."""
    path.write_bytes(b"")


def web_page(path, rng):
    """Put in place of a file what a login page gives to a download."""
    path.write_bytes(b"<!DOCTYPE html><html><body>Please log in</body></html>")


def folder_instead(path, rng):
    """Put a folder in place of a file."""
    path.unlink()
    path.mkdir()


def loop_instead(path, rng):
    """Put a link to itself in place of a file or folder."""
    _remove(path)
    path.symlink_to(path)


def nowhere_instead(path, rng):
    """Put a link to nothing in place of a file or folder."""
    _remove(path)
    path.symlink_to("is-not-there")


def file_instead(path, rng):
    """Put a file in place of a folder."""
    _remove(path)
    path.write_text("a file")


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


FILE_DAMAGE = (cut, flip, fill, noise, empty, web_page, folder_instead, loop_instead, nowhere_instead)


def places(value, path=()):
    """Return the paths to all values inside of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inner for found in ((*path, key), *places(item, (*path, key)))]


def put(value, path, new):
    """Return a JSON value with another one at a path."""
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


def without(value, path):
    """Return a JSON value without what is at a path."""
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


def as_json(value):
    """Return the text of a JSON value; `DEEP` inside of it becomes lists that no `json.dumps` would write."""
    if value is DEEP:
        return "[" * _DEPTH + "]" * _DEPTH
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_json(str(key))}:{as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(as_json, value)) + "]"
    return json.dumps(value)
