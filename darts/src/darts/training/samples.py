"""What is passed around while training data is made: samples, and where their images come from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darts.pipelines.tiles import Source, TileRef
from darts.training.join import Digitised, Joined

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A digitised image, to be cut from a tile."""

    sample_id: str
    digitised: Digitised
    metadata: Mapping[str, Any]
    """Columns for each of its patches, such as the ids of its sources."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The ground of a sample: what goes to the patches."""

    tile: "xr.Dataset"
    labels: "gpd.GeoSeries"
    extent: "gpd.GeoSeries"
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """All that a data set is to hold, before anything is loaded."""

    source: Source
    joined: Joined
    samples: Mapping[TileRef, Sequence[Sample]]
    """The samples of each tile, in the order of the data set."""
    account: Sequence[tuple[str, int]] = field(default=())
    """What else is worth telling."""

    def __iter__(self) -> Iterator[Sample]:
        """Iterate over the samples."""
        return (sample for samples in self.samples.values() for sample in samples)
