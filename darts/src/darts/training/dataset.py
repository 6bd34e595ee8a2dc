"""What all kinds of training data share: from label layers and images to a set of patches."""

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from darts.pipelines.features import FeatureRun, anywhere, or_default
from darts.pipelines.tiles import Outcome, RunReport, TileRef, Work
from darts.training.parameters import LabelParameters, TrainingPatchParameters
from darts.training.samples import Collection, Cut, Sample
from darts_utils.errors import MissingDataError
from darts_utils.files import exclusive_lock, make_folder

if TYPE_CHECKING:
    import xarray as xr

    from darts.pipelines.stages import Stage
    from darts.training.layers import Layer
    from darts.training.regions import Regions
    from darts_segmentation.training import TrainDatasetBuilder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingData(LabelParameters, TrainingPatchParameters, FeatureRun):
    """Parameters and course of making training data; a subclass says which images go with the labels."""

    name: ClassVar[str]
    """Name of the kind, as in the folder of the data."""
    function_name: ClassVar[str]
    """Name of the function that makes it."""

    def collect(self, labels: "Layer", footprints: "Layer") -> Collection:
        """Return the samples that the layers and the images lead to.

        Args:
            labels: The label layers.
            footprints: The footprint layers.
        """
        raise NotImplementedError

    def cut(self, tile: "xr.Dataset", sample: Sample) -> Cut:
        """Return the ground of a sample, with its labels where the tile shows the slumps."""
        digitised = sample.digitised
        return Cut(tile=tile, labels=digitised.labels, extent=digitised.footprint, metadata=sample.metadata)

    def located(self) -> Self:
        """Return a copy with every location filled in; locating it again changes nothing."""
        return replace(
            super().located(),
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
        run = self.located()
        run.use_endpoints()
        folder = or_default(run.train_data_dir, Path())
        make_folder(folder)
        with exclusive_lock(folder / ".lock", timeout_s=0):
            return run._create(folder)

    def _create(self, folder: Path) -> RunReport:
        from darts.training.layers import read_layers
        from darts.training.regions import fetch_boundaries, regions_of
        from darts.training.summary import show_summary

        collection = self.collect(*read_layers(self.labels_dir))
        self._refuse_nothing(collection)
        boundaries = fetch_boundaries(or_default(self.admin_dir, Path()), offline=self.offline)
        regions = regions_of(_footprints(collection), boundaries)
        builder = self._builder(folder)
        self._write_arguments(folder)
        work = _Making(self, collection, regions, builder)
        report = work.run(folder)
        if not report.interrupted:
            builder.finalize(self.to_config())
        show_summary(collection, regions, builder, folder)
        return report

    def _refuse_nothing(self, collection: Collection) -> None:
        from darts.training.summary import show_rows_of

        if not collection.samples:
            show_rows_of(collection)
            raise MissingDataError(
                f"no image goes with the footprints in {self.labels_dir}, so there is nothing to make. The table says "
                "what became of each row."
            )

    def _builder(self, folder: Path) -> "TrainDatasetBuilder":
        from darts_segmentation.training import TrainDatasetBuilder
        from darts_utils.bands import TRAINING_BANDS

        made_with = {key: getattr(self, key) for key in ("tpi_outer_radius", "tpi_inner_radius")}
        return TrainDatasetBuilder(
            folder,
            self.patch_size,
            self.overlap,
            TRAINING_BANDS,
            self.exclude_nopositive,
            self.exclude_nan,
            self.device,
            self.append,
            shard_size=self.shard_size,
            settings={"kind": self.name, **made_with, "rounded": self.preprocess_cache is not None},
        )

    def _write_arguments(self, folder: Path) -> None:
        """Keep the parameters as `{time}.cli.toml`, from which the command makes the same data."""
        from darts.pipelines.journal import claim_stem
        from darts_utils.toml import write_function_args_to_config_file

        values = {field.name: anywhere(getattr(self, field.name)) for field in fields(self)}
        function = as_function(type(self))
        claim_stem(folder, "cli.toml", lambda part: write_function_args_to_config_file(part, function, values))


def as_function(kind: type[TrainingData]) -> Callable[..., RunReport]:
    """Return the function that makes a kind of training data; its parameters are those that the kind declares."""

    def function(**parameters: Any) -> RunReport:
        return kind(**parameters).create()

    function.__name__ = function.__qualname__ = kind.function_name
    function.__module__ = kind.__module__
    function.__doc__ = kind.__doc__
    function.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]  # which typing does not know
    return function


def _footprints(collection: Collection) -> Any:
    """Return the outlines of the images that are used, by their ids."""
    import geopandas as gpd
    import pandas as pd

    used = {sample.digitised.image_id: sample.digitised.footprint for sample in collection}
    outlines = pd.concat(list(used.values()), ignore_index=True)
    return gpd.GeoSeries(outlines.values, index=list(used), crs=outlines.crs)


@dataclass(frozen=True)
class _Making:
    """The work on the tiles of a collection."""

    parameters: TrainingData
    collection: Collection
    regions: "Regions"
    builder: "TrainDatasetBuilder"

    def run(self, folder: Path) -> RunReport:
        """Make the features of all tiles that are not in the set, and their patches."""
        from darts.pipelines.execution import execute, on_this_machine
        from darts.utils.console import run_view

        todo = [ref for ref in self.collection.samples if self._lacking(ref)]
        left = set(todo)
        done = [ref for ref in self.collection.samples if ref not in left]
        self.parameters.plan_and_connect(self.collection.source, todo, self.builder.bands, n_done=len(done))
        outcomes = [Outcome(ref=ref, status="skipped") for ref in done]
        with run_view(n_tiles=len(todo) + len(done), n_skipped=len(done)) as view:
            executor = on_this_machine(self._stages(), self.parameters.max_memory_gb)
            interrupted = execute(executor, todo, view=view, on_outcome=outcomes.append)
            report = RunReport(tuple(outcomes), folder, interrupted)
            view.finish(report)
        return report

    def _lacking(self, ref: TileRef) -> list[Sample]:
        """Return the samples of a tile that are not in the set."""
        return [sample for sample in self.collection.samples[ref] if sample.sample_id not in self.builder]

    def _stages(self) -> "list[Stage]":
        from darts.pipelines.stages import Stage, feature_stages

        stages = feature_stages(self.parameters, self.collection.source, frozenset(self.builder.bands))
        if self.parameters.preprocess_cache is not None:
            stages = [Stage("features", "prepare", partial(_cached, self.parameters, stages, self._way))]
        return [*stages, Stage("patches", "finish", self._add)]

    def _way(self, ref: TileRef) -> str:
        """Return a hash of all that decides the features of a tile, so that a cache never gives others."""
        from darts.pipelines.fingerprint import RESULT_VERSION
        from darts_utils.canonical import sha256_of

        source, radii = self.collection.source, (self.parameters.tpi_outer_radius, self.parameters.tpi_inner_radius)
        image, _ = source.identity(ref)
        return sha256_of([RESULT_VERSION, image, source.resolution_m, radii, sorted(self.builder.bands)])[:16]

    def _add(self, work: Work) -> Work:
        """Add the patches of all samples of a tile."""
        assert work.tile is not None
        for sample in self._lacking(work.ref):
            cut = self.parameters.cut(work.tile, sample)
            region = self.regions.names[sample.digitised.image_id]
            self.builder.add_tile(cut.tile, cut.labels, region, sample.sample_id, cut.extent, cut.metadata)
        return Work(work.ref)


def _cached(parameters: TrainingData, stages: "Sequence[Stage]", way: "Callable[[TileRef], str]", work: Work) -> Work:
    """Return a tile with its features from the cache, made and kept if it is not there.

    What was made a moment ago is rounded as the cache rounds, so that patches do not depend on what it held.
    """
    from darts_utils.bands import manager
    from darts_utils.tilecache import XarrayCacheManager

    def make() -> "xr.Dataset":
        made = work
        for stage in stages:
            made = stage.run(made)
        assert made.tile is not None
        return manager.decode(manager.encode(made.tile))

    name = f"{parameters.name}_{work.ref.tile_id.replace('/', '_')}_{way(work.ref)}"
    cache = XarrayCacheManager(parameters.preprocess_cache)
    return Work(work.ref, cache.get_or_create(name, make, force=parameters.force_preprocess))
