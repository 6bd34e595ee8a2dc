"""Checks of what computes: processor, threads, memory, GPU, and what was found about precisions before."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from darts.environment.check import Check, ok, slow
from darts.pipelines.computing.ability import Ability
from darts.pipelines.computing.memory import usable_memory_bytes
from darts.pipelines.computing.verdicts import kept_verdicts
from darts_segmentation.precision import faster_precisions
from darts_utils.machine.cpu import usable_cores
from darts_utils.machine.devices import decide_device

_GIB = 2**30
_LITTLE_MEMORY_BYTES = 8 * _GIB
_LITTLE_GPU_BYTES = 4 * _GIB
_UNITS = ("amx_bf16", "avx512_bf16")
_CPUINFO = Path("/proc/cpuinfo")


def computing_checks(logs: Path) -> Iterator[Check]:
    """Yield the checks.

    Args:
        logs: Folder of the log files, beside which precisions are remembered.
    """
    yield _gpu()
    yield _processor()
    yield _threads(torch.get_num_threads(), usable_cores())
    yield _memory()
    yield _precisions(logs)


def _gpu() -> Check:
    if not torch.cuda.is_available():
        if Path("/dev/nvidia0").exists():
            return slow("gpu", "there is one that torch cannot use", "Install a torch with CUDA, and its driver.")
        return slow("gpu", "none, so that the processor computes", "Map many scenes on a machine with one.")
    free, total = torch.cuda.mem_get_info(0)
    found = f"{torch.cuda.get_device_name(0)}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
    if free < _LITTLE_GPU_BYTES:
        return slow("gpu", found, "Wait until others are done with it, or lower batch_size.")
    return ok("gpu", found)


def _processor() -> Check:
    units = [unit for unit in _UNITS if unit in _flags(_CPUINFO)]
    if not units:
        advice = "Processors with AMX or AVX512_BF16, and GPUs, are faster."
        return slow("matrix units", "none of AMX and AVX512_BF16, so that models compute in float32", advice)
    if not faster_precisions(torch.device("cpu")):
        return slow("matrix units", f"{' '.join(units)}, but torch does not use them", "Install torch 2.10 or newer.")
    return ok("matrix units", " ".join(units))


def _flags(cpuinfo: Path) -> set[str]:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split(":", 1)[-1].split()}


def _threads(threads: int, cores: int) -> Check:
    found = f"{threads} on {cores} cores that this process may use"
    variable = "OMP_NUM_THREADS" if os.environ.get("OMP_NUM_THREADS") else "torch"
    if threads > cores:
        return ok("threads", f"{found}; a run takes no more than {cores}")
    if threads < cores:
        return slow("threads", f"{found}, by {variable}", f"Unset OMP_NUM_THREADS, or set it to {cores}.")
    return ok("threads", found)


def _memory() -> Check:
    n_bytes = usable_memory_bytes()
    found = f"{n_bytes / _GIB:.1f} GiB that this process may use"
    if n_bytes < _LITTLE_MEMORY_BYTES:
        return slow("memory", found, "Full scenes need 8 GiB: ask for more, or lower batch_size and patch_size.")
    return ok("memory", found)


def _precisions(logs: Path) -> Check:
    """Say what is remembered of this device; what is not is found out by the first run."""
    ability = Ability.of(decide_device(None))
    verdicts = kept_verdicts(logs, ability)
    if not ability.faster:
        return ok("precision", "float32, which is all that this device does fast")
    if not verdicts:
        return ok("precision", "nothing is remembered; the first run compares float32 with what is faster")
    usable = sum(any(verdict.holds for verdict in of_model.values()) for of_model in verdicts.values())
    found = f"{usable} of {len(verdicts)} models compute faster than in float32"
    if usable == len(verdicts):
        return ok("precision", found)
    return slow("precision", found, "The others differ too much from float32, which they keep to.")
