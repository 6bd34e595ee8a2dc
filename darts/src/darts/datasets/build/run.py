"""Building training data: from label layers and images to a set of patches."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import geopandas as gpd
import pandas as pd
import xarray as xr

from darts.datasets.build.layers import read_layers
from darts.datasets.build.pipelines import TrainingData, as_function
from darts.datasets.build.regions import Regions, fetch_boundaries, regions_of
from darts.datasets.build.samples import Collection, Collector, Sample
from darts.datasets.build.summary import show_rows_of, show_summary
from darts.pipelines.auxiliary import Request, editions_of, layers_of
from darts.pipelines.computing.memory import memory_budget_bytes
from darts.pipelines.config import absolute
from darts.pipelines.execution import execute
from darts.pipelines.fetch.connect import ask_at_given_addresses, plan_and_connect
from darts.pipelines.local import SequentialExecutor
from darts.pipelines.results.fingerprint import RESULT_VERSION
from darts.pipelines.results.journal import claim_stem
from darts.pipelines.stages import Stage, feature_stages
from darts.pipelines.tiles import Loaded, Outcome, RunReport, TileRef, Work, loaded, require
from darts.utils.console import run_view
from darts_segmentation.training import TrainDatasetBuilder
from darts_utils.bands import INDICES, RUGGEDNESS_BANDS, TRAINING_BANDS, manager
from darts_utils.canonical import sha256_of
from darts_utils.errors import ConfigError, MissingDataError
from darts_utils.files import exclusive_lock, make_folder
from darts_utils.functools import write_function_args_to_config_file
from darts_utils.tilecache import XarrayCacheManager

logger = logging.getLogger(__name__)


def build(data: TrainingData) -> RunReport:
    """Make training data, or go on with it, see `TrainingData.create`."""
    parameters = data.with_paths()
    bands_of(parameters)
    ask_at_given_addresses(parameters, offline=parameters.offline)
    folder = require(parameters.train_data_dir)
    make_folder(folder)
    with exclusive_lock(folder / ".lock", timeout_s=0):
        return _build_into(parameters, folder)


def _build_into(parameters: TrainingData, folder: Path) -> RunReport:
    collector = parameters.collector()
    collection = collector.collect(*read_layers(parameters.labels_dir))
    _refuse_nothing(parameters, collection)
    boundaries = fetch_boundaries(require(parameters.admin_dir), offline=parameters.offline)
    regions = regions_of(_footprints(collection), boundaries)
    builder = _builder(parameters, folder)
    _write_arguments(parameters, folder)
    report = BuildRun(parameters, collector, collection, regions, builder).run(folder)
    if not report.interrupted:
        builder.finalize(parameters.to_config())
    show_summary(collection, regions, builder, folder)
    return report


def bands_of(parameters: TrainingData) -> tuple[str, ...]:
    """Return the bands of the patches, in order: those of every training set, then those that were asked for.

    Raises:
        ConfigError: If one that was asked for is no spectral index and no measure of ruggedness.
    """
    extra = tuple(parameters.extra_bands or ())
    possible = [name for name in (*INDICES, *RUGGEDNESS_BANDS) if name not in TRAINING_BANDS]
    unknown = [name for name in extra if name not in possible]
    if unknown:
        raise ConfigError(
            f"extra_bands names {', '.join(unknown)}, but only {', '.join(possible)} can be added to the bands of "
            "every training set. Correct the name or leave it out."
        )
    return tuple(dict.fromkeys([*TRAINING_BANDS, *extra]))


def _refuse_nothing(parameters: TrainingData, collection: Collection) -> None:
    if not collection.samples:
        show_rows_of(collection)
        raise MissingDataError(
            f"no image goes with the footprints in {parameters.labels_dir}, so there is nothing to make. "
            "The table says what became of each row."
        )


def _builder(parameters: TrainingData, folder: Path) -> TrainDatasetBuilder:
    made_with = {key: getattr(parameters, key) for key in ("tpi_outer_radius", "tpi_inner_radius")}
    return TrainDatasetBuilder(
        folder,
        parameters.patch_size,
        parameters.overlap,
        bands_of(parameters),
        parameters.exclude_nopositive,
        parameters.exclude_nan,
        parameters.device,
        parameters.append,
        shard_size=parameters.shard_size,
        settings={"kind": parameters.name, **made_with, "rounded": parameters.preprocess_cache is not None},
    )


def _write_arguments(parameters: TrainingData, folder: Path) -> None:
    """Keep the parameters as `{time}.cli.toml`, from which the command makes the same data."""
    values = {field.name: absolute(getattr(parameters, field.name)) for field in fields(parameters)}
    function = as_function(type(parameters))
    claim_stem(folder, "cli.toml", lambda part: write_function_args_to_config_file(part, function, values))


def _footprints(collection: Collection) -> gpd.GeoSeries:
    """Return the outlines of the images that are used, by their ids."""
    used = {sample.image.image_id: sample.image.footprint for sample in collection}
    outlines = pd.concat(list(used.values()), ignore_index=True)
    return gpd.GeoSeries(outlines.values, index=list(used), crs=outlines.crs)


@dataclass(frozen=True)
class BuildRun:
    """The work on the tiles of a collection."""

    parameters: TrainingData
    collector: Collector
    collection: Collection
    regions: Regions
    builder: TrainDatasetBuilder

    def run(self, folder: Path) -> RunReport:
        """Make the features of all tiles that are not in the set, and their patches."""
        todo = [ref for ref in self.collection.samples if self._lacking(ref)]
        left = set(todo)
        done = [ref for ref in self.collection.samples if ref not in left]
        plan_and_connect(self.parameters, self.collection.source, todo, self.builder.bands, n_done=len(done))
        outcomes = [Outcome(ref=ref, status="skipped") for ref in done]
        with run_view(n_tiles=len(todo) + len(done), n_skipped=len(done)) as view:
            budget = memory_budget_bytes(self.parameters.max_memory_gb)
            executor = SequentialExecutor(self._stages(), budget_bytes=budget)
            interrupted = execute(executor, todo, view=view, on_outcome=outcomes.append)
            report = RunReport(tuple(outcomes), folder, interrupted)
            view.finish(report)
        return report

    def _lacking(self, ref: TileRef) -> list[Sample]:
        """Return the samples of a tile that are not in the set."""
        return [sample for sample in self.collection.samples[ref] if sample.sample_id not in self.builder]

    def _stages(self) -> list[Stage]:
        stages = feature_stages(self.parameters, self.collection.source, frozenset(self.builder.bands))
        if self.parameters.preprocess_cache is not None:
            stages = [Stage("features", "prepare", partial(_cached, self.parameters, stages, self._way))]
        return [*stages, Stage("patches", "finish", self._add)]

    def _way(self, ref: TileRef) -> str:
        """Return a hash of all that decides the features of a tile, so that a cache never gives others."""
        source, radii = self.collection.source, (self.parameters.tpi_outer_radius, self.parameters.tpi_inner_radius)
        image, _ = source.identity(ref)
        decides = [RESULT_VERSION, image, source.resolution_m, radii, sorted(self.builder.bands)]
        editions = self._editions(ref)
        return sha256_of([*decides, editions] if editions else decides)[:16]

    def _editions(self, ref: TileRef) -> dict[str, int]:
        """Return the editions of auxiliary layers that the features of a tile are made of."""
        request = Request(self.parameters, self.collection.source.resolution_m, ref)
        return editions_of(layers_of(self.builder.bands), request)

    def _add(self, work: Work) -> Work:
        """Add the patches of all samples of a tile."""
        given = loaded(work)
        for sample in self._lacking(work.ref):
            cut = self.collector.cut(given.tile, sample)
            region = self.regions.names[sample.image.image_id]
            metadata = {**cut.metadata, **self._editions(work.ref)}
            self.builder.add_tile(cut.tile, cut.labels, region, sample.sample_id, cut.extent, metadata)
        return Work(work.ref)


def _cached(parameters: TrainingData, stages: Sequence[Stage], way: Callable[[TileRef], str], work: Work) -> Work:
    """Return a tile with its features from the cache, made and kept if it is not there.

    What was made a moment ago is rounded as the cache rounds, so that patches do not depend on what it held.
    """

    def make() -> xr.Dataset:
        made = work
        for stage in stages:
            made = stage.run(made)
        return manager.decode(manager.encode(loaded(made).tile))

    name = f"{parameters.name}_{work.ref.tile_id.replace('/', '_')}_{way(work.ref)}"
    cache = XarrayCacheManager(parameters.preprocess_cache)
    tile = cache.get_or_create(name, make, force=parameters.force_preprocess)
    return Loaded(ref=work.ref, tile=tile)
