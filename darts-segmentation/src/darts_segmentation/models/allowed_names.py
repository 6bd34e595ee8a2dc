"""What a model file may name in its pickle, and what stands for it here: no object of a file is ever made.

Lightning keeps hyperparameters and states of optimisers beside the weights, so that files name paths, dates and numbers
of numpy. Those of the table are read as inert stand-ins, or as the plain value where a network may depend on it;
everything else is refused.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from darts_segmentation.models.stored import Inert, Storage, StorageType, StoredTensor

type StandIn = Callable[..., object] | StorageType | torch.dtype
"""What is called in place of a class or function, or stands for a constant."""

_LONGEST_SCALAR = 64
"""Bytes of the longest date or number."""


def checked_key(key: object) -> object:
    """Return a key of a dict that is safe to hash: Python itself crashes over tuples that are nested deeply enough.

    Raises:
        ValueError: If the key is anything but a plain value, a stand-in or a tuple of those.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not all(part is None or isinstance(part, (str, int, float, bytes, Inert)) for part in parts):
        raise ValueError("a dict has a key that is no plain value")
    return key


def _dict(*arguments: object) -> dict[object, object]:
    """Return an empty dict; its items follow. Only Python 2 gave them with the call."""
    if any(isinstance(argument, list) for argument in arguments):
        raise ValueError("a dict comes in the form of Python 2")
    return {}


def _encoded(text: str, *_: object) -> object:
    """Return the bytes that protocol 2 writes as a text of Latin-1; those of whole arrays are not wanted."""
    return text.encode("latin1") if len(text) <= _LONGEST_SCALAR else Inert()


class _NumpyType(Inert):
    """A type of numpy, of which only the kind and the size count."""

    def __init__(self, code: object, *_: object) -> None:
        known = isinstance(code, str) and re.fullmatch(r"b1|[iu][1248]|f[248]", code)
        self.code = code if known else None


def _numpy_scalar(dtype: object = None, raw: object = None) -> object:
    """Return a number of numpy as Python's own: some configurations have `in_channels` and the like as such."""
    if isinstance(dtype, _NumpyType) and dtype.code is not None and isinstance(raw, bytes):
        return np.frombuffer(raw, dtype=f"<{dtype.code}", count=1)[0].item()
    return Inert()


def _tensor(storage: object, offset: int, shape: object, stride: object, *rest: object) -> StoredTensor | Inert:
    """Return what `torch._utils._rebuild_tensor` and its later versions would make; a type among the rest wins."""
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(stride, tuple):
        return Inert()
    dtype = next((value for value in rest if isinstance(value, torch.dtype)), storage.dtype)
    return StoredTensor(storage, dtype, offset, shape, stride)


def _parameter(data: object, *_: object) -> object:
    return data


def _from_type(function: object, _: object, arguments: Iterable[Any], *__: object) -> object:
    """Return the tensor of a subclass, saved as the call that makes it; its class and state count for nothing."""
    return function(*arguments) if callable(function) else Inert()


_NUMBERS = {
    "Double": torch.float64, "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool, "ComplexFloat": torch.complex64, "ComplexDouble": torch.complex128,
}  # fmt: skip
_TENSORS: Mapping[str, StandIn] = {
    **{f"torch.{name}Storage": StorageType(dtype) for name, dtype in _NUMBERS.items()},
    **{f"torch.cuda.{name}Storage": StorageType(dtype) for name, dtype in _NUMBERS.items()},
    "torch.storage.UntypedStorage": StorageType(torch.uint8),
    **{f"torch._utils._rebuild_tensor{version}": _tensor for version in ("", "_v2", "_v3")},
    **{f"torch._utils._rebuild_parameter{version}": _parameter for version in ("", "_with_state")},
    "torch._tensor._rebuild_from_type_v2": _from_type,
    **{str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)},
}
_PLAIN: Mapping[str, StandIn] = {
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
    **{f"{lightning}.AttributeDict": _dict for lightning in (
        "lightning.fabric.utilities.data", "lightning_fabric.utilities.data",
        "lightning.pytorch.utilities.parsing", "pytorch_lightning.utilities.parsing",
    )},
    "_codecs.encode": _encoded,
    "numpy.dtype": _NumpyType,
    **{f"numpy.{core}.multiarray.scalar": _numpy_scalar for core in ("core", "_core")},
}  # fmt: skip
_INERT = (
    "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath", "pathlib.PureWindowsPath",
    "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone",
    "zoneinfo.ZoneInfo._unpickle", "uuid.UUID", "decimal.Decimal", "fractions.Fraction",
    "argparse.Namespace", "types.SimpleNamespace", "collections.deque", "collections.Counter",
    "builtins.set", "builtins.frozenset", "builtins.complex", "builtins.slice", "builtins.range", "builtins.bytearray",
    "builtins.int", "builtins.float", "builtins.str", "builtins.bool", "builtins.list", "builtins.tuple",
    "builtins.dict", "torch.Size", "torch.device", "torch.Tensor", "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer", "torch.torch_version.TorchVersion", "torch.serialization._get_layout",
    "torch._utils._rebuild_qtensor", "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage", "torch.per_tensor_affine", "torch.per_channel_affine",
    "numpy.ndarray", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    *(f"torch.{name}Storage" for name in ("QInt8", "QUInt8", "QInt32")),
)  # fmt: skip
HARMLESS: Mapping[str, StandIn] = {**dict.fromkeys(_INERT, Inert), **_TENSORS, **_PLAIN}
"""Stand-ins by the full names of what they stand for."""

_RENAMED = {"__builtin__": "builtins", "pathlib._local": "pathlib"}
"""Modules by the names that Python 2 (which protocol 2 keeps) and 3.13 have for them."""


def stand_in(module: str, name: str) -> StandIn | None:
    """Return what stands for an object that a pickle names, None if it is not known to be harmless."""
    return HARMLESS.get(f"{_RENAMED.get(module, module)}.{name}")
