"""Networks computing in float32, or in faster numbers with fewer digits while parts of them stay in float32."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import nn

from darts_utils.parameters import BFLOAT16, BFLOAT16_DECODER, FLOAT16, FLOAT32, Exact, Precision

_CPU_NUMBERS = ("amx_bf16", "avx512_bf16")
_ISA_LIMIT = "ONEDNN_MAX_CPU_ISA"
_WITHOUT_BFLOAT16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")
"""Instruction sets that the library of torch's convolutions can be kept to, and that have no such numbers."""


def faster_precisions(device: torch.device) -> tuple[Precision, ...]:
    """Return what a device computes faster in than in float32, in the order in which it is to be tried.

    On a GPU float16 takes as long as bfloat16 and is several times closer; numbers beyond its range are computed again.
    """
    if device.type == "cuda":
        return (FLOAT16, *([BFLOAT16, BFLOAT16_DECODER] if torch.cuda.is_bf16_supported() else []))
    return (BFLOAT16, BFLOAT16_DECODER) if device.type == "cpu" and _has_fast_bfloat16() else ()


def usual_precision(device: torch.device) -> Precision:
    """Return what networks compute in where nobody asks for anything: float32, on a GPU float16."""
    return FLOAT16 if device.type == "cuda" else FLOAT32


def processor_name(device: torch.device) -> str:
    """Return what decides how a device computes: the make of a GPU; make and kinds of numbers of a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    able = _abilities_of_cpu()
    return " ".join([str(able.get("cpu_name") or platform.machine()), *filter(able.get, _CPU_NUMBERS)])


def _has_fast_bfloat16() -> bool:
    if os.environ.get(_ISA_LIMIT, "").upper() in _WITHOUT_BFLOAT16:
        return False
    return any(map(_abilities_of_cpu().get, _CPU_NUMBERS))


def _abilities_of_cpu() -> dict[str, Any]:
    """Return what torch knows of the CPU; nothing before torch 2.10."""
    return getattr(torch.cpu, "get_capabilities", dict)()


# Computing

_exact: ContextVar[Exact] = ContextVar("exact", default="nothing")
"""What stays in float32 where the present thread computes."""


@contextmanager
def computing_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Let networks that were made ready by `prepare_exact_parts` compute in a precision on a device."""
    token = _exact.set(precision.exact)
    is_half = precision.dtype != "float32"
    half = torch.autocast(device.type, dtype=getattr(torch, precision.dtype)) if is_half else nullcontext()
    try:
        with half, _without_tensor_float(device):
            yield
    finally:
        _exact.reset(token)


@contextmanager
def _without_tensor_float(device: torch.device) -> Iterator[None]:
    """Keep a GPU from rounding the inputs of float32 convolutions to ten bits, as it does unless told otherwise."""
    if device.type != "cuda":
        yield
        return
    of_convolutions: Any = getattr(torch.backends.cudnn, "conv", None)  # since torch 2.9, which dislikes the older name
    where, name, exact = (
        (torch.backends.cudnn, "allow_tf32", False)
        if of_convolutions is None
        else (of_convolutions, "fp32_precision", "ieee")
    )
    before = getattr(where, name)
    setattr(where, name, exact)
    try:
        yield
    finally:
        setattr(where, name, before)


def prepare_exact_parts(network: nn.Module, device: torch.device) -> None:
    """Make the parts of a network that can stay in float32 ask whether they are to; doing it again changes nothing."""
    for levels, part in _parts(network):
        if not isinstance(part.forward, partial):
            part.forward = partial(_guarded, levels, part.forward, device.type)


def _parts(network: nn.Module) -> Iterator[tuple[frozenset[Exact], nn.Module]]:
    """Yield parts of a network, and where they stay in float32."""
    encoder = getattr(network, "encoder", None)
    if isinstance(encoder, nn.Module):
        yield frozenset[Exact]({"encoder"}), encoder
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    head = getattr(network, "segmentation_head", None)
    ends = [*convolutions[:1], *([head] if isinstance(head, nn.Module) else convolutions[1:][-1:])]
    for end in ends:
        yield frozenset[Exact]({"ends", "encoder"}), end


def _guarded(levels: frozenset[Exact], forward: Any, device_type: str, *inputs: torch.Tensor) -> Any:
    """Compute in float32 if the present precision wants it here."""
    if _exact.get() not in levels:
        return forward(*inputs)
    with torch.autocast(device_type, enabled=False):
        return forward(*(values.float() for values in inputs))
