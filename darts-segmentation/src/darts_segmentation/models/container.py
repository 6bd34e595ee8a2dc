"""The two kinds of file that `torch.save` has written: a zip archive, and before 2020 one pickle after the other.

What a file says of itself is held against its real size before any memory is taken, and the bytes of a weight against
their checksum when they are read.
"""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

import torch

from darts_segmentation.models.stored import Storage, StoredTensor
from darts_segmentation.models.unpickling import read_pickle

LARGEST_PICKLE = 8 * 2**20
"""Bytes of a pickle at most. Names, shapes and settings of the largest networks take a few hundred kilobytes."""
ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"

_OLD_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_NO_CHECKPOINT = "is not a model checkpoint. Give a .pt or .ckpt file written by torch."
_OTHER_MACHINE = "was written on a machine of another byte order. Write it anew on a usual one."
_COUNT = struct.Struct("<q")
_LOCAL_HEADER = struct.Struct("<4s22xHH")


class ContainerError(Exception):
    """A file is not what torch writes, or was damaged; the text completes the sentence that begins with its name."""


@dataclass(frozen=True)
class Span:
    """A stretch of bytes in a file."""

    start: int
    n_bytes: int
    checksum: int | None
    """Its CRC-32; None where none was written."""


@dataclass(frozen=True)
class Container:
    """A file of torch: its objects, and where the numbers of its tensors lie."""

    path: Path
    content: object
    """What was saved, with a `StoredTensor` in place of each tensor."""
    spans: Mapping[str, Span]
    """Where storages lie, by their keys."""
    _read: dict[str, bytearray] = field(default_factory=dict)

    def holds(self, stored: StoredTensor) -> bool:
        """Return whether the file has all numbers that a tensor claims."""
        span = self.spans.get(stored.storage.key)
        return span is not None and stored.fits(span.n_bytes)

    def tensor(self, stored: StoredTensor) -> torch.Tensor:
        """Return a tensor that the file `holds`; tensors of one storage share their memory.

        Raises:
            ContainerError: If its bytes are not those that were written.
        """
        key = stored.storage.key
        if key not in self._read:
            with self.path.open("rb") as file:
                self._read[key] = _bytes_of(file, self.spans[key])
        return stored.of(self._read[key])


def open_container(path: Path) -> Container:
    """Return the content of a file that `torch.save` wrote, without the numbers of its tensors.

    Raises:
        ContainerError: If torch did not write such a file.
        UnknownObjectError: If it names objects that are not known to be harmless.
        OSError: If it cannot be read.
        Exception: If it is damaged, of almost any kind.
    """
    if path.is_fifo() or path.is_char_device():  # has no end, or none that would come
        raise ContainerError(_NO_CHECKPOINT)
    with path.open("rb") as file:
        magic = file.read(len(ZIP_MAGIC))
        file.seek(0)
        if magic == ZIP_MAGIC:
            return _zip(path, file)
        if magic.startswith(PICKLE_MAGIC):
            return _pickles(path, file)
    raise ContainerError(_NO_CHECKPOINT)


def _zip(path: Path, file: BufferedReader) -> Container:
    with zipfile.ZipFile(file) as archive:
        listed = archive.infolist()
    members = {info.filename: info for info in listed}
    pickles = [name for name in members if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1 or len(members) != len(listed):
        raise ContainerError("is a zip archive, but none that torch wrote. Give a .pt or .ckpt file.")
    if any(info.compress_type != zipfile.ZIP_STORED for info in listed):
        raise ContainerError("was compressed by another program than torch. Take the file that torch wrote.")
    size = members[pickles[0]].file_size
    if size > LARGEST_PICKLE:
        raise ContainerError(
            f"has a data.pkl of {size / 2**20:,.0f} MiB; that of a model takes {LARGEST_PICKLE // 2**20} MiB at most."
            " Write it anew with the weights and their configuration only."
        )
    folder = pickles[0].removesuffix("data.pkl")
    spans = {name.removeprefix(folder): _span(file, info) for name, info in members.items()}
    if "byteorder" in spans and _bytes_of(file, spans["byteorder"]) != b"little":
        raise ContainerError(_OTHER_MACHINE)
    content = read_pickle(io.BytesIO(_bytes_of(file, spans["data.pkl"])))
    return Container(path, content, {name.removeprefix("data/"): span for name, span in spans.items()})


def _span(file: BufferedReader, info: zipfile.ZipInfo) -> Span:
    """Return where the bytes of a member lie: after its header, whose length differs."""
    file.seek(info.header_offset)
    magic, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if magic != ZIP_MAGIC:
        raise zipfile.BadZipFile("a member does not begin where the directory says")
    start = info.header_offset + _LOCAL_HEADER.size + int(name) + int(extra)
    return _checked(file, Span(start, info.file_size, info.CRC or None))  # 0: torch was told to write none


def _pickles(path: Path, file: BufferedReader) -> Container:
    head = io.BytesIO(file.read(LARGEST_PICKLE))
    if read_pickle(head) != _OLD_MAGIC_NUMBER:
        raise ContainerError("is a pickle that torch did not write.")
    storages: dict[str, Storage] = {}
    _, machine = read_pickle(head), read_pickle(head)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ContainerError(_OTHER_MACHINE)
    content, keys = read_pickle(head, storages), read_pickle(head)
    if not isinstance(keys, list):
        raise ValueError("there is no list of storages")
    return Container(path, content, _storages_in_turn(file, head.tell(), [storages[key] for key in keys]))


def _storages_in_turn(file: BufferedReader, start: int, storages: Iterable[Storage]) -> dict[str, Span]:
    """Return where storages lie, of which each is preceded by the count of its numbers."""
    spans = {}
    for storage in storages:
        file.seek(start)
        if _COUNT.unpack(file.read(_COUNT.size)) != (storage.size,):
            raise ValueError("a storage has another size than its tensor")
        spans[storage.key] = _checked(file, Span(start + _COUNT.size, storage.n_bytes, None))
        start += _COUNT.size + storage.n_bytes
    return spans


def _checked(file: BufferedReader, span: Span) -> Span:
    """Return a stretch of bytes that lies within the file."""
    if span.start + span.n_bytes > os.fstat(file.fileno()).st_size:
        raise EOFError
    return span


def _bytes_of(file: BufferedReader, span: Span) -> bytearray:
    raw = bytearray(span.n_bytes)
    file.seek(span.start)
    if file.readinto(raw) != span.n_bytes:
        raise EOFError
    if span.checksum not in (None, zlib.crc32(raw)):
        raise ContainerError("is damaged: its bytes do not have the checksum that was written. Copy it again.")
    return raw
