"""Objects of a model file as its pickle describes them, before any weight is read."""

from dataclasses import dataclass
from math import prod

import torch


class Inert:
    """Stands for an object that a file holds and nobody needs; made from anything, it keeps and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass


@dataclass(frozen=True, eq=False)
class StorageType:
    """The type of the numbers in a storage."""

    dtype: torch.dtype


@dataclass(frozen=True, eq=False)
class Storage:
    """A stretch of numbers in a file."""

    key: str
    """Where the file keeps it."""
    dtype: torch.dtype
    size: int
    """How many numbers there are."""

    @property
    def n_bytes(self) -> int:
        """Bytes of all its numbers."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A view of a storage."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    """Its first number, counted from the beginning of the storage."""
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def fits(self, n_bytes: int) -> bool:
        """Return whether the file has the numbers that the tensor claims, and has none of them stand for many.

        Args:
            n_bytes: What the file holds of its storage.
        """
        numbers = (self.offset, *self.shape, *self.stride)
        if not all(type(number) is int and number >= 0 for number in numbers) or len(self.shape) != len(self.stride):
            return False
        if self.storage.n_bytes > n_bytes or prod(self.shape) * self.dtype.itemsize > self.storage.n_bytes:
            return False
        reach = sum((length - 1) * step for length, step in zip(self.shape, self.stride, strict=True))
        behind = self.offset + reach + 1 if prod(self.shape) else 0
        return behind * self.dtype.itemsize <= self.storage.n_bytes

    def of(self, raw: bytearray) -> torch.Tensor:
        """Return the tensor, as a view of the bytes of its storage."""
        if not prod(self.shape):
            return torch.empty(self.shape, dtype=self.dtype)
        return torch.frombuffer(raw, dtype=self.dtype).as_strided(self.shape, self.stride, self.offset)
