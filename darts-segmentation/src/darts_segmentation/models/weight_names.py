"""The names of weights in a checkpoint, matched with those of its network."""

from collections.abc import Collection, Mapping
from pathlib import Path

from darts_segmentation.models.wording import listed
from darts_utils.errors import CheckpointError

_WRAPPERS = frozenset({"module", "_orig_mod"})
"""What DataParallel, DistributedDataParallel and torch.compile put into the names of a network, or of a part of it."""
_LIGHTNING = "model."
"""Where Lightning files keep the network, beside weights of a loss or a metric; only at the beginning of a name,
because encoders of timm have a `model.` of their own inside."""


def by_own_names[Weight](path: Path, weights: Mapping[str, Weight], own: Collection[str]) -> dict[str, Weight]:
    """Return the weights of a file under the names that its network has for them.

    Args:
        path: The file, for messages.
        weights: All weights in the file.
        own: The names of the network's weights.

    Returns:
        The weights whose names are exactly the network's own; where there is no way to get them, those that come
        closest, so that a message can say what lacks.

    Raises:
        CheckpointError: If two weights of the file would get one name.
    """
    unwrapped = {_unwrap(name): name for name in own}
    inner = {name: weight for name, weight in weights.items() if _unwrap(name).startswith(_LIGHTNING)}
    candidates = [_renamed(path, weights, "", unwrapped)]
    if inner:
        candidates.append(_renamed(path, inner, _LIGHTNING, unwrapped))
    return min(candidates, key=lambda found: len(found.keys() ^ set(own)))


def _renamed[Weight](
    path: Path, weights: Mapping[str, Weight], prefix: str, unwrapped: Mapping[str, str]
) -> dict[str, Weight]:
    """Return weights without wrappers and prefix in their names."""
    found: dict[str, Weight] = {}
    for name, weight in weights.items():
        bare = _unwrap(name).removeprefix(prefix)
        bare = unwrapped.get(bare, bare)
        if bare in found:
            raise CheckpointError(
                f"{path} holds the weight {listed([bare])} twice. Write the checkpoint anew with one of them."
            )
        found[bare] = weight
    return found


def _unwrap(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
