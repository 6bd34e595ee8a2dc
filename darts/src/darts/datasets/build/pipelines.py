"""The kinds of training data: their parameters, each declared once, and the commands that make them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from cyclopts import Parameter

from darts.datasets.build.parameters import (
    LabelParameters,
    MatchingParameters,
    TrainingImageParameters,
    TrainingPatchParameters,
)
from darts.pipelines.config import FeatureRun, or_default
from darts.pipelines.sources.parameters import CatalogParameters, RawSceneParameters
from darts.pipelines.tiles import MosaicResolution, RunReport

if TYPE_CHECKING:
    from darts.datasets.build.samples import Collector


@dataclass(frozen=True, kw_only=True)
class TrainingData(LabelParameters, TrainingPatchParameters, FeatureRun):
    """Parameters of training data; a subclass says which images go with the labels."""

    name: ClassVar[str]
    """Name of the kind, as in the folder of the data."""
    function_name: ClassVar[str]
    """Name of the function that makes it."""

    def collector(self) -> "Collector":
        """Return what brings labels and images together."""
        raise NotImplementedError

    def with_paths(self) -> Self:
        """Return a copy with every location filled in; doing it again changes nothing."""
        return replace(
            super().with_paths(),
            train_data_dir=or_default(self.train_data_dir, self.paths.train_data(self.name, self.patch_size)),
            admin_dir=or_default(self.admin_dir, self.paths.admin_boundaries),
            preprocess_cache=self._asked_cache() if self.preprocess_cache is None else self.preprocess_cache,
        )

    def _asked_cache(self) -> Path | None:
        """Return the folder of features in the folder of caches, if one is given; unasked nothing is kept."""
        return None if self.default_dirs.cache_dir is None else self.paths.cache / self.name

    def create(self) -> RunReport:
        """Make the training data, or go on with it, and return how each image ended.

        Writes `data.zarr`, `metadata.parquet`, `samples.json`, `config.toml` and `{time}.cli.toml` to `train_data_dir`.
        An image that fails does not end the work; the next start tries it again.

        Raises:
            MissingDataError: If there are no labels, or no images for them.
            DataError: If a label layer cannot be used, or the data in the folder is damaged.
            ConfigError: If parameters are wrong, or the data in the folder was made with others.
            ServiceError: If something must be fetched, and a service does not answer.
            OutputError: If the folder cannot be written, or another process works on it.
        """
        from darts.datasets.build.run import build

        return build(self)


def as_function(kind: type[TrainingData]) -> Callable[..., RunReport]:
    """Return the function that makes a kind of training data; its parameters are those that the kind declares."""

    def function(**parameters: Any) -> RunReport:
        return kind(**parameters).create()

    function.__name__ = function.__qualname__ = kind.function_name
    function.__module__ = kind.__module__
    function.__doc__ = kind.__doc__
    function.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]  # which typing does not know
    return function


@dataclass(frozen=True, kw_only=True)
class PlanetTrainingData(TrainingImageParameters, TrainingData):
    """Makes training data of PlanetScope images and the slumps digitised on them.

    Images lie in `{data_dir}/{image}`, `{data_dir}/{tile}/{image}` or `{data_dir}/{iteration}/{site}/{image}`.
    """

    resolution_m: ClassVar[MosaicResolution] = 2
    name: ClassVar[str] = "planet"
    function_name: ClassVar[str] = "preprocess_planet_train_data"

    def collector(self) -> "Collector":
        """Return what brings labels and images together."""
        from darts.datasets.build.images import in_archive
        from darts.datasets.build.planet import PlanetCollector

        return PlanetCollector(self.data_dir, in_archive)

    @staticmethod
    def cli(*, data: Annotated["PlanetTrainingData", Parameter(name="*")]) -> RunReport:
        """Make training data of PlanetScope images and the slumps digitised on them."""
        return data.create()


@dataclass(frozen=True, kw_only=True)
class PingoTrainingData(TrainingImageParameters, TrainingData):
    """Makes training data of PlanetScope images that lie at any depth, found by their `*_SR.tif`."""

    resolution_m: ClassVar[MosaicResolution] = 2
    name: ClassVar[str] = "planet-pingo"
    function_name: ClassVar[str] = "preprocess_planet_train_data_pingo"

    def collector(self) -> "Collector":
        """Return what brings labels and images together."""
        from darts.datasets.build.images import anywhere_below
        from darts.datasets.build.planet import PlanetCollector

        return PlanetCollector(self.data_dir, anywhere_below)

    @staticmethod
    def cli(*, data: Annotated["PingoTrainingData", Parameter(name="*")]) -> RunReport:
        """Make training data of PlanetScope images that lie at any depth, found by their `*_SR.tif`."""
        return data.create()


@dataclass(frozen=True, kw_only=True)
class Sentinel2TrainingData(MatchingParameters, CatalogParameters, RawSceneParameters, TrainingData):
    """Makes training data of Sentinel-2 scenes, with slumps digitised on PlanetScope images of about the same day.

    Where the PlanetScope images are at hand, labels are moved to where Sentinel-2 sees the same ground.
    """

    resolution_m: ClassVar[MosaicResolution] = 10
    name: ClassVar[str] = "sentinel2"
    function_name: ClassVar[str] = "preprocess_s2_train_data"

    def with_paths(self) -> Self:
        """Return a copy with every location filled in; doing it again changes nothing."""
        run = super().with_paths()
        store = or_default(self.raw_data_store, self.paths.sentinel2_raw_data(self.raw_data_source))
        cache = or_default(self.matching_cache, or_default(run.train_data_dir, Path()) / "matching-cache.json")
        return replace(run, raw_data_store=store, matching_cache=cache)

    def collector(self) -> "Collector":
        """Return what brings labels and images together."""
        from darts.datasets.build.sentinel2 import Sentinel2Collector

        return Sentinel2Collector(self)

    @staticmethod
    def cli(*, data: Annotated["Sentinel2TrainingData", Parameter(name="*")]) -> RunReport:
        """Make training data of Sentinel-2 scenes, with slumps digitised on PlanetScope images."""
        return data.create()


preprocess_planet_train_data = as_function(PlanetTrainingData)
preprocess_planet_train_data_pingo = as_function(PingoTrainingData)
preprocess_s2_train_data = as_function(Sentinel2TrainingData)
create_planet_dataset = PlanetTrainingData.cli
create_pingo_dataset = PingoTrainingData.cli
create_sentinel2_dataset = Sentinel2TrainingData.cli
"""The commands, under names that can be imported when they are called."""
