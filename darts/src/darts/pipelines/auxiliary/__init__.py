"""The auxiliary layers: what one must say of a layer stands in its own file, and here is the list."""

from collections.abc import Collection

from darts.pipelines.auxiliary.arcticdem import ArcticDem
from darts.pipelines.auxiliary.protocol import AuxiliaryLayer, Request
from darts.pipelines.auxiliary.tcvis import Tcvis

__all__ = ["LAYERS", "AuxiliaryLayer", "Request", "layers_of"]

LAYERS: dict[str, AuxiliaryLayer] = {layer.name: layer for layer in (ArcticDem(), Tcvis())}
"""By name, in the order in which a tile gets them."""


def layers_of(bands: Collection[str]) -> tuple[AuxiliaryLayer, ...]:
    """Return the layers that some bands are made of."""
    return tuple(layer for layer in LAYERS.values() if not layer.bands.isdisjoint(bands))
