"""The auxiliary layers: what one must say of a layer stands in its own file, and here is the list."""

from collections.abc import Collection, Iterable

from darts.pipelines.auxiliary.arcticdem import ArcticDem
from darts.pipelines.auxiliary.protocol import AuxiliaryLayer, Request
from darts.pipelines.auxiliary.tcvis import Tcvis

__all__ = ["LAYERS", "AuxiliaryLayer", "Request", "editions_of", "layers_of"]

LAYERS: dict[str, AuxiliaryLayer] = {layer.name: layer for layer in (ArcticDem(), Tcvis())}
"""By name, in the order in which a tile gets them."""


def layers_of(bands: Collection[str]) -> tuple[AuxiliaryLayer, ...]:
    """Return the layers that some bands are made of."""
    return tuple(layer for layer in LAYERS.values() if not layer.bands.isdisjoint(bands))


def editions_of(layers: Iterable[AuxiliaryLayer], request: Request) -> dict[str, int]:
    """Return which editions of layers serve a tile, by the parameter that chooses them; one for all is left out."""
    found = {layer.edition_parameter: layer.edition(request) for layer in layers}
    return {name: edition for name, edition in found.items() if name is not None and edition is not None}
