"""Whether a tile is like what a model was trained on: the ground, and the numbers."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr

from darts_segmentation.models.card import ModelCard
from darts_utils.bands import manager
from darts_utils.rasters.arrays import Array
from darts_utils.tile import geobox_of

if TYPE_CHECKING:
    from darts_segmentation.network import Member  # torch, which workers that only make features need not load

logger = logging.getLogger(__name__)

_METRES = "EPSG:3413"
_SQUARES, _SQUARE_PX = 6, 96
"""Squares along each edge of a tile, and their edge: a third of a million pixels of a hundred million are enough, and
bands that are made where they are read cost no more than those pixels."""
_MEAN_SIGMA = 0.5
"""Distance of a mean, in standard deviations of training, beyond which it drifts."""
_SIGMA_RATIO = 1.25
"""Ratio of standard deviations, either way, beyond which they drift."""
_LEAST_PX = 100


@dataclass(frozen=True)
class Familiarity:
    """Says of each model, once a run, that a tile lies elsewhere or looks otherwise than what it was trained on.

    Such tiles are mapped all the same: what comes out is worth a look before it is believed.

    Args:
        members: The models; those that do not say what they were trained on are passed over.
    """

    members: "Collection[Member]"
    _said: set[tuple[str, str]] = field(default_factory=set)

    def look(self, tile: xr.Dataset, tile_id: str) -> None:
        """Compare a preprocessed tile with what models were trained on; models of the same finding share a line."""
        outside = [name for name, card in self._new("ground") if is_outside(card.domain, tile)]
        if outside:
            models, verb = self._said_of(outside, "ground", ("was", "were"))
            logger.warning(
                "%s %s not trained on the ground of %s; look at the results before you believe them",
                models, verb, tile_id,
            )  # fmt: skip
        drifting: dict[str, list[str]] = {}
        for name, card in self._new("numbers"):
            drifting.setdefault("; ".join(drifting_bands(card, tile)), []).append(name)
        for bands, names in drifting.items():
            if bands:
                models, verb = self._said_of(names, "numbers", ("sees", "see"))
                logger.warning("%s %s other numbers in %s than in training: %s", models, verb, tile_id, bands)

    def _new(self, what: str) -> list[tuple[str, ModelCard]]:
        """Return the models that say what they were trained on, and of which something was not said yet."""
        cards = [(member.name, member.card) for member in self.members if (member.name, what) not in self._said]
        return [(name, card) for name, card in cards if card is not None]

    def _said_of(self, names: Sequence[str], what: str, verbs: tuple[str, str]) -> tuple[str, str]:
        """Return models in words with the form of a verb, and note that it is said of them."""
        self._said.update((name, what) for name in names)
        return (f"the model {names[0]}", verbs[0]) if len(names) == 1 else (f"the models {', '.join(names)}", verbs[1])


def is_outside(domain: Mapping[str, Any] | None, tile: xr.Dataset) -> bool:
    """Tell whether no part of a tile lies on the ground that a model was trained on; not if that is not known."""
    if not domain or not domain.get("coordinates"):
        return False
    degrees = gpd.GeoSeries([shapely.geometry.shape(domain)], crs="EPSG:4326")
    outline = geobox_of(tile).extent
    ground = gpd.GeoSeries([outline.geom], crs=str(outline.crs)).to_crs(_METRES)
    parts = degrees.explode(ignore_index=True).segmentize(0.1).to_crs(_METRES)
    return not bool(parts.intersects(ground.iloc[0]).any())


def drifting_bands(card: ModelCard, tile: xr.Dataset) -> Iterator[str]:
    """Yield in words each band whose mean or spread is another than in training, in the model representation.

    A mean drifts when it is over half a standard deviation of training away, a standard deviation when it is over
    1.25 times that of training, or under a 1.25th of it.
    """
    for band, said in (card.input_statistics or {}).items():
        if band not in tile:
            continue
        values = _sampled(tile, band)
        if len(values) < _LEAST_PX or not said.get("std"):
            continue
        away = (float(values.mean()) - said["mean"]) / said["std"]
        ratio = float(values.std()) / said["std"]
        if abs(away) > _MEAN_SIGMA:
            yield f"{band} {'higher' if away > 0 else 'lower'} by {abs(away):.1f} standard deviations"
        elif not 1 / _SIGMA_RATIO <= ratio <= _SIGMA_RATIO:
            yield f"{band} spread {ratio:.2f} times as far"


def _sampled(tile: xr.Dataset, band: str) -> Array:
    """Return values of a band as a model sees them, of the valid pixels of some squares spread over a tile."""
    parts = []
    for window in _squares((tile.sizes["y"], tile.sizes["x"])):
        values = manager[band].normalize(np.asarray(tile[band].variable[window].values))
        quality = tile["quality_data_mask"].variable[window].values if "quality_data_mask" in tile else None
        parts.append(values.ravel() if quality is None else values[quality != 0])
    return np.concatenate(parts)


def _squares(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield windows that do not overlap, spread evenly; all of a tile that is not much larger."""
    yield from product(_stretches(shape[0]), _stretches(shape[1]))


def _stretches(length: int) -> list[slice]:
    if length <= _SQUARES * _SQUARE_PX:
        return [slice(0, length)]
    starts = np.linspace(0, length - _SQUARE_PX, _SQUARES).astype(int)
    return [slice(int(start), int(start) + _SQUARE_PX) for start in starts]
