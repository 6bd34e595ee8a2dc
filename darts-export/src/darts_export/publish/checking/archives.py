"""PMTiles: a header that is true to the file, and directories whose tiles lie in it."""

import gzip
import json
import zlib
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pmtiles.tile import (
    Compression,
    Entry,
    MagicNumberNotFound,
    SpecVersionUnsupported,
    deserialize_directory,
    deserialize_header,
)  # fmt: skip

from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.tree import Tree

_HEADER_BYTES = 127
_MOST_BYTES = 64 * 2**20
"""Of the metadata and all directories, unpacked: those of some 15 million tiles."""
_DEEPEST = 4
_AGAIN = "Make the archive again, or copy it anew."


class DamagedError(Exception):
    """What is wrong with an archive."""


class TooLargeError(Exception):
    """There is more to unpack than would be read."""


@dataclass
class Archive:
    """An archive that is read."""

    file: BinaryIO
    size: int
    header: dict[str, Any]
    tiles: int = 0
    """Addressed by the entries gone over."""
    entries: int = 0
    room: int = field(default_factory=lambda: _MOST_BYTES)
    """Bytes that may still be unpacked."""
    gone_over: set[int] = field(default_factory=set)
    """Where the directories begin that were gone over: one may lead back."""

    def packed(self, offset: int, length: int, what: str) -> bytes:
        """Return a part of the file."""
        if offset + length > self.size:
            raise DamagedError(f"{what} reach beyond the end of the file")
        self.file.seek(offset)
        return self.file.read(length)

    def unpacked(self, offset: int, length: int, what: str) -> bytes:
        """Return a part of the file that is compressed as its header says."""
        data = self.packed(offset, length, what) if length <= self.room else None
        if data is not None and self.header["internal_compression"] == Compression.GZIP:
            data = _gunzipped(data, self.room)
        if data is None or len(data) > self.room:
            raise TooLargeError
        self.room -= len(data)
        return data


def check_pmtiles(tree: Tree, path: str, findings: Findings) -> None:
    """Find what is wrong with an archive of tiles; the tiles themselves are not read."""
    try:
        with tree.place(path).open("rb") as file:
            header: Any = deserialize_header(file.read(_HEADER_BYTES).ljust(_HEADER_BYTES, b"\0"))
            archive = Archive(file, tree.sizes[path], header)
            _check_metadata(archive)
            _check_directory(archive, header["root_offset"], header["root_length"], depth=1)
        _check_counts(archive)
    except (MagicNumberNotFound, UnicodeDecodeError):
        findings.add(path, "is no PMTiles archive", _AGAIN)
    except TooLargeError:
        what = f"is not checked whole: its directories have more than {_MOST_BYTES:,} bytes"
        findings.add(path, what, "Make an archive of fewer tiles, if that is not what you meant.")
    except SpecVersionUnsupported:
        findings.add(path, "is not checked: it is PMTiles of another version than 3", "Make it again as version 3.")
    except (DamagedError, ValueError, EOFError) as error:
        findings.add(path, f"is a damaged PMTiles archive: {error}", _AGAIN)


def _check_metadata(archive: Archive) -> None:
    header = archive.header
    if header["internal_compression"] not in (Compression.NONE, Compression.GZIP):
        raise DamagedError(f"its directories are compressed as {header['internal_compression'].name}, not by gzip")
    if header["metadata_length"]:
        text = archive.unpacked(header["metadata_offset"], header["metadata_length"], "metadata")
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DamagedError("its metadata is no JSON") from error
    west, south, east, north = (header[f"{side}_e7"] / 1e7 for side in ("min_lon", "min_lat", "max_lon", "max_lat"))
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise DamagedError(f"its bounds {[west, south, east, north]} are not on Earth")


def _check_directory(archive: Archive, offset: int, length: int, *, depth: int) -> None:
    """Go over the entries of a directory and of those below it."""
    if depth > _DEEPEST or offset in archive.gone_over:
        raise DamagedError("its directories lead around, or too deep")
    archive.gone_over.add(offset)
    header, last = archive.header, -1
    for entry in _entries(archive.unpacked(offset, length, "directories")):
        if entry.tile_id <= last:
            raise DamagedError("entries of a directory are not in order")
        last = entry.tile_id
        if entry.run_length == 0:
            _check_directory(archive, header["leaf_directory_offset"] + entry.offset, entry.length, depth=depth + 1)
            continue
        if entry.offset + entry.length > header["tile_data_length"]:
            raise DamagedError("tiles reach beyond the part of the file that is for them")
        archive.entries += 1
        archive.tiles += entry.run_length


def _entries(directory: bytes) -> list[Entry]:
    """Return the entries of a directory, which are no more than it has bytes for."""
    claimed = _first_number(directory)
    if 4 * claimed > len(directory):
        raise DamagedError(f"a directory claims {claimed} entries in {len(directory)} bytes")
    return list(deserialize_directory(gzip.compress(directory, compresslevel=1)))


def _first_number(data: bytes) -> int:
    """Return the number that a directory begins with, 7 bits a byte, the lowest first."""
    number = 0
    for index, byte in enumerate(data[:10]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number
    raise DamagedError("a directory is empty or does not say how many entries it has")


def _check_counts(archive: Archive) -> None:
    header = archive.header
    if header["tile_data_offset"] + header["tile_data_length"] > archive.size:
        raise DamagedError("tiles reach beyond the end of the file")
    for key, seen in (("addressed_tiles_count", archive.tiles), ("tile_entries_count", archive.entries)):
        if header[key] not in (0, seen):
            raise DamagedError(f"its header says {key} {header[key]}, but there are {seen}")


def _gunzipped(data: bytes, most_bytes: int) -> bytes:
    """Return what is packed, no more than one byte over the limit."""
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacking.decompress(data, most_bytes + 1)
    except zlib.error as error:
        raise DamagedError("a part of it cannot be unpacked") from error
    if not unpacking.eof and len(content) <= most_bytes:
        raise DamagedError("a part of it is cut short")
    return content
