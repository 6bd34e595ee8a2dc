"""What is passed around while training data is made: samples, where their images come from, and who collects them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import xarray as xr

from darts.datasets.build.layers import Layer
from darts.datasets.build.matching import AnnotatedImage, Matched
from darts.pipelines.tiles import Source, TileRef


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An annotated image, to be cut from a tile."""

    sample_id: str
    image: AnnotatedImage
    metadata: Mapping[str, Any]
    """Columns for each of its patches, such as the ids of its sources."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The ground of a sample: what goes to the patches."""

    tile: xr.Dataset
    labels: gpd.GeoSeries
    extent: gpd.GeoSeries
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """All that a data set is to hold, before anything is loaded."""

    source: Source
    matched: Matched
    samples: Mapping[TileRef, Sequence[Sample]]
    """The samples of each tile, in the order of the data set."""
    tally: Sequence[tuple[str, int]] = field(default=())
    """What else is worth telling."""

    def __iter__(self) -> Iterator[Sample]:
        """Iterate over the samples."""
        return (sample for samples in self.samples.values() for sample in samples)


class Collector(ABC):
    """Brings labels and images together; one a kind of training data."""

    @abstractmethod
    def collect(self, labels: Layer, footprints: Layer) -> Collection:
        """Return the samples that the layers and the images lead to.

        Args:
            labels: The label layers.
            footprints: The footprint layers.
        """

    def cut(self, tile: xr.Dataset, sample: Sample) -> Cut:
        """Return the ground of a sample, with its labels where the tile shows the slumps."""
        image = sample.image
        return Cut(tile=tile, labels=image.labels, extent=image.footprint, metadata=sample.metadata)
