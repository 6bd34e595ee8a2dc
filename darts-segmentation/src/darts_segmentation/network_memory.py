"""How much memory a network takes, found by watching what it makes on the way."""

import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from darts_segmentation.network import Member

_TRIED_PX = 256
_MARGIN = 1.3
"""Times what is seen: libraries take memory to compute in, and no two allocators fit blocks in equally well."""


def bytes_per_px(members: Sequence[Member], device: torch.device) -> float:
    """Return the memory that the largest of some networks takes at its peak for a pixel of a patch, in float32.

    What is in memory besides the weights: the inputs, and what layers leave to later ones.

    Args:
        members: The networks.
        device: Where they are.
    """
    return max(_bytes_at_most(member, device) for member in members) * _MARGIN / _TRIED_PX**2


def _bytes_at_most(member: Member, device: torch.device) -> int:
    patch = torch.zeros((1, len(member.bands), _TRIED_PX, _TRIED_PX), device=device)
    with torch.no_grad(), _Living() as living:
        member.model(patch.contiguous(memory_format=torch.channels_last))
    return int(living.most + patch.nbytes)


class _Living(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives no types for it
    """Counts the bytes of all tensors that are made and not freed yet."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.most: int = 0
        self._now: int = 0
        self._users: Counter[int] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor)
        return made

    def _add(self, tensor: torch.Tensor) -> None:
        memory = tensor.untyped_storage()
        address, n_bytes = memory.data_ptr(), memory.nbytes()
        if not self._users[address]:
            self._now += n_bytes
            self.most = max(self.most, self._now)
        self._users[address] += 1
        weakref.finalize(tensor, self._remove, address, n_bytes)

    def _remove(self, address: int, n_bytes: int) -> None:
        self._users[address] -= 1
        if not self._users[address]:
            self._now -= n_bytes
