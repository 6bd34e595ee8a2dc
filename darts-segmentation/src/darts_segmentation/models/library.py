"""The library of networks, imported without PyTorch's compiler, of which nothing here makes use.

Two of the packages behind it ask the compiler something as they are imported, and that alone takes longer than all else
of them: 1.5 s of a core for every command that maps. What they ask is answered later, or not at all where it only
tells the compiler what to leave alone.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_IMPORTING = threading.Lock()
_COMPILER, _UTILS = "torch._dynamo", "torch._dynamo.utils"


def segmentation_models() -> Any:
    """Return the module `segmentation_models_pytorch`."""
    with _IMPORTING, _without_compiler():
        import segmentation_models_pytorch as smp
    return smp


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Let packages be imported that ask the compiler something, unless it is there already."""
    if _COMPILER in sys.modules:
        yield
        return
    disable = torch.compiler.disable
    sys.modules[_UTILS] = _answering_later()
    torch.compiler.disable = _left_as_it_is
    try:
        yield
    finally:
        torch.compiler.disable = disable
        del sys.modules[_UTILS]


def _answering_later() -> ModuleType:
    def is_compile_supported(device_type: str) -> bool:
        from torch._dynamo.utils import is_compile_supported as answer

        return bool(answer(device_type))

    later = ModuleType(_UTILS)
    later.is_compile_supported = is_compile_supported  # type: ignore[attr-defined]  # as torchvision imports it
    return later


def _left_as_it_is(fn: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
    return (lambda given: given) if fn is None else fn
