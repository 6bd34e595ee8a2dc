"""Which editions of auxiliary layers models saw in training, beside those that a run reads."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from darts.pipelines.auxiliary import AuxiliaryLayer, Request, layers_of
from darts.pipelines.tiles import TileRef

logger = logging.getLogger(__name__)


def say_unseen(
    inputs: Mapping[str, Mapping[str, Any]],
    bands: Mapping[str, Collection[str]],
    request: Request,
    refs: Sequence[TileRef],
) -> None:
    """Say, once for each layer, that tiles are read with other editions than models saw.

    Models that do not say what they saw, and tiles of a cube that serves all, are passed over.

    Args:
        inputs: What each model says of its input, by its name.
        bands: Bands that each model reads, by its name.
        request: What layers are asked, but for the tile.
        refs: The tiles.
    """
    for layer in layers_of({band for names in bands.values() for band in names}):
        parameter = layer.edition_parameter
        readers = [name for name in bands if layer in layers_of(bands[name])]
        seen = {name: _editions(inputs.get(name, {}).get(parameter)) for name in readers} if parameter else {}
        if any(seen.values()):
            _compare(layer, {name: editions for name, editions in seen.items() if editions}, request, refs)


def _editions(said: Any) -> tuple[int, ...]:
    """Return the editions that a model says it saw: one, several, or nothing that says it."""
    values = said if isinstance(said, list | tuple) else [said]
    return tuple(value for value in values if isinstance(value, int) and not isinstance(value, bool))


def _compare(
    layer: AuxiliaryLayer, seen: Mapping[str, Collection[int]], request: Request, refs: Sequence[TileRef]
) -> None:
    read = [layer.edition(request.of(ref)) for ref in refs]
    known = [edition for edition in read if edition is not None]
    unlike = {name: sorted({one for one in known if one not in editions}) for name, editions in seen.items()}
    models = [
        f"{name} saw {_listed(seen[name])} and gets {_listed(others)}" for name, others in unlike.items() if others
    ]
    if models:
        parameter = str(layer.edition_parameter)
        logger.warning(
            "%s of another %s than in training: %s; --%s chooses",
            layer.label, parameter, ", ".join(models), parameter.replace("_", "-"),
        )  # fmt: skip


def _listed(editions: Collection[int]) -> str:
    return " and ".join(map(str, sorted(editions)))
