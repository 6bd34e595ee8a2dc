"""Pickles of model files, read without making any object that they name.

Python's own unpickler calls what a file tells it to, and that of torch takes the memory that a file claims. Here a
table of harmless names decides, calls go to stand-ins, and tensors come out as descriptions.
"""

import pickle
from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar

from darts_segmentation.models.allowed_names import checked_key, stand_in
from darts_segmentation.models.stored import Inert, Storage, StorageType

type _Step = Callable[[Any], None]


class UnknownObjectError(Exception):
    """A pickle names something that is not known to be harmless; the text is its full name."""


def read_pickle(file: IO[bytes], storages: dict[str, Storage] | None = None) -> object:
    """Return the next object in a file: plain values, lists and dicts, `Inert`, and a `StoredTensor` for each tensor.

    The time and memory that it takes are a small multiple of the pickle's own length.

    Args:
        file: Where the pickle begins at the current position.
        storages: Filled with the storages that the pickle refers to, by their keys.

    Raises:
        UnknownObjectError: If the pickle names something that is not known to be harmless.
        Exception: If it is damaged, of almost any kind.
    """
    return _Unpickler(file, {} if storages is None else storages).load()


def _call(reader: "_Unpickler") -> None:
    """REDUCE, NEWOBJ: call a stand-in, never anything else that lies on the stack."""
    arguments, function = reader.stack.pop(), reader.stack.pop()
    reader.append(function(*arguments) if isinstance(function, _Named) else Inert())


def _forget_state(reader: "_Unpickler") -> None:
    """BUILD: attributes of stand-ins and of dicts count for nothing."""
    reader.stack.pop()


def _append(reader: "_Unpickler") -> None:
    _extend(reader, [reader.stack.pop()])


def _append_many(reader: "_Unpickler") -> None:
    items = reader.pop_mark()
    _extend(reader, items)


def _extend(reader: "_Unpickler", items: list[object]) -> None:
    target = reader.stack[-1]
    if isinstance(target, list):
        target.extend(items)


def _set_item(reader: "_Unpickler") -> None:
    value, key = reader.stack.pop(), reader.stack.pop()
    _update(reader.stack[-1], [key, value])


def _set_many(reader: "_Unpickler") -> None:
    items = reader.pop_mark()
    _update(reader.stack[-1], items)


def _update(target: object, items: list[object]) -> None:
    if isinstance(target, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value


def _dict(reader: "_Unpickler") -> None:
    made: dict[object, object] = {}
    _update(made, reader.pop_mark())
    reader.append(made)


def _empty_set(reader: "_Unpickler") -> None:
    reader.append(Inert())


def _frozen_set(reader: "_Unpickler") -> None:
    reader.pop_mark()
    reader.append(Inert())


_CHANGED: Mapping[bytes, _Step] = {
    pickle.REDUCE: _call, pickle.NEWOBJ: _call, pickle.BUILD: _forget_state, pickle.APPEND: _append,
    pickle.APPENDS: _append_many, pickle.SETITEM: _set_item, pickle.SETITEMS: _set_many, pickle.DICT: _dict,
    pickle.EMPTY_SET: _empty_set, pickle.ADDITEMS: _append_many, pickle.FROZENSET: _frozen_set,
}  # fmt: skip
_LEFT_OUT = (
    pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.PERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4,
    pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER,
)  # fmt: skip
"""Other ways of making objects, which no version of torch writes."""


class _Named:
    """A stand-in on the stack, told from anything that a pickle could put there by itself."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)


_PlainUnpickler = pickle._Unpickler  # noqa: SLF001  (steps of the one in C cannot be replaced)


class _Unpickler(_PlainUnpickler):
    """The unpickler in plain Python, whose steps can be replaced and whose memo takes no more than it is given."""

    stack: list[Any]
    append: Callable[[object], None]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar = {
        **{code: step for code, step in _PlainUnpickler.dispatch.items() if bytes([code]) not in _LEFT_OUT},
        **{code[0]: step for code, step in _CHANGED.items()},
    }

    def __init__(self, file: IO[bytes], storages: dict[str, Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> object:
        found = stand_in(module, name)
        if found is None:
            raise UnknownObjectError(f"{module}.{name}")
        return _Named(found) if callable(found) else found

    def persistent_load(self, key: Any) -> object:
        """Return a storage; of a type that is not known, such as a quantised one, something inert."""
        kind, storage_type, name, _, size = key[:5]
        if kind != "storage" or not isinstance(name, str) or type(size) is not int or size < 0:
            raise ValueError("what lies outside of the pickle is no storage")
        if not isinstance(storage_type, StorageType):
            return Inert()
        return self._storages.setdefault(name, Storage(name, storage_type.dtype, size))
