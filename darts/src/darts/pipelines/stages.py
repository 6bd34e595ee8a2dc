"""The stages of a tile, each one function of a step package: a tile goes in, a new tile comes out."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from darts.pipelines.auxiliary import LAYERS, AuxiliaryLayer, Request, layers_of
from darts.pipelines.parameters import FeatureParameters, PipelineParameters
from darts.pipelines.results.provenance import Making
from darts.pipelines.tiles import Loaded, Result, Source, TileRef, Work, loaded
from darts_acquisition.auxiliary.snapshot import cube_snapshot
from darts_export import export_tile
from darts_export.pictures.thumbnail import draw_ground
from darts_export.products import COLOURS, SAID_VARIABLES, THUMBNAIL_VARIABLES, needed_variables
from darts_export.record import FINGERPRINT
from darts_postprocessing import prepare_export
from darts_postprocessing.masks import is_out_of_extent
from darts_preprocessing import preprocess_v2
from darts_segmentation.familiarity import Familiarity
from darts_utils.errors import DataError
from darts_utils.parameters import quality_level_number
from darts_utils.tile import geobox_of

if TYPE_CHECKING:
    from darts_segmentation import EnsembleV1  # torch, which workers that only make features need not load

logger = logging.getLogger(__name__)


type Lane = Literal["prepare", "device", "finish"]
LANES: tuple[Lane, ...] = ("prepare", "device", "finish")

_SMALLEST_SHOWN = 0.0005
"""Share of ground below which a percentage with one decimal would say 0."""


@dataclass(frozen=True)
class Stage:
    """A step that every tile passes."""

    name: str
    lane: Lane
    run: Callable[[Work], Work]


def build_stages(
    parameters: PipelineParameters,
    source: Source,
    ensemble: "EnsembleV1",
    *,
    features: frozenset[str],
    making: Making,
    results: Path,
) -> list[Stage]:
    """Return the stages of a run in their order.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from.
        ensemble: The models.
        features: Bands that a model or an export asks for; nothing else is made.
        making: What is said of how the results were made.
        results: The results folder.
    """
    return [
        *prepare_stages(parameters, source, features, ensemble.model_bands),
        segment_stage(parameters, ensemble),
        *result_stages(parameters, ensemble.model_names, making, results),
    ]


def feature_stages(
    parameters: FeatureParameters,
    source: Source,
    features: frozenset[str],
    models: Mapping[str, Collection[str]] | None = None,
) -> list[Stage]:
    """Return the stages from a reference to a tile with its features; maps and training data share them.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from.
        features: Bands to make; nothing else is made.
        models: Bands that each model reads, by its name, to tell where some are missing.
    """
    return [
        Stage("optical", "prepare", _Optical(source)),
        *(
            Stage(layer.name, "prepare", _LoadLayer(layer, parameters, source, features))
            for layer in layers_of(features)
        ),
        Stage("preprocess", "prepare", _Preprocess(parameters, features, models)),
    ]


def prepare_stages(
    parameters: PipelineParameters, source: Source, features: frozenset[str], models: Mapping[str, Collection[str]]
) -> list[Stage]:
    """Return the stages from a reference to a tile with its features, and with the ground of its picture if asked."""
    stages = feature_stages(parameters, source, features, models)
    return [*stages, Stage("picture", "prepare", _draw_picture)] if "thumbnail" in parameters.products else stages


def segment_stage(parameters: PipelineParameters, ensemble: "EnsembleV1") -> Stage:
    """Return the stage from features to probabilities."""
    return Stage("segment", "device", _Segment(parameters, ensemble, Familiarity(ensemble.members)))


def result_stages(
    parameters: PipelineParameters, model_names: Sequence[str], making: Making, results: Path
) -> list[Stage]:
    """Return the stages from probabilities to files in the results folder."""
    return [
        Stage("postprocess", "finish", _Postprocess(parameters, model_names)),
        Stage("export", "finish", _Export(parameters, model_names, making, results)),
    ]


@dataclass(frozen=True)
class _Optical:
    source: Source

    def __call__(self, work: Work) -> Work:
        image, files = self.source.identity(work.ref)  # before it is read, so that a file that changes is another one
        tile = self.source.load(work.ref)
        _refuse_unseen(tile, work.ref)
        inputs = {**work.inputs, "image": _completed(image, tile.attrs), "files": files}
        return Loaded(ref=work.ref, inputs=inputs, tile=tile)


def _refuse_unseen(tile: xr.Dataset, ref: TileRef) -> None:
    """Refuse an image that shows nothing: a map of it would say that there are no slumps.

    Raises:
        DataError: If no pixel of it is valid.
    """
    if "quality_data_mask" in tile and not tile["quality_data_mask"].values.any():
        raise DataError(
            f"{ref.tile_id} has not one valid pixel: no data, or a mask that does not lie on the image. "
            "Look at its files."
        )


def _completed(image: Mapping[str, Any], attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what says which image it is, with what only reading it tells: attributes of the same name."""
    return {name: attributes.get(name) if value is None else value for name, value in image.items()}


@dataclass(frozen=True)
class _LoadLayer:
    layer: AuxiliaryLayer
    parameters: FeatureParameters
    source: Source
    features: frozenset[str]

    def __call__(self, work: Work) -> Work:
        given = loaded(work)
        layer, request = self.layer, Request(self.parameters, self.source.resolution_m, work.ref)
        stage_with = self.source.stage_command(work.ref)
        found = layer.load(request, geobox_of(given.tile), bands=self.features, stage_with=stage_with)
        cube = layer.cube_name(request.resolution_m, layer.edition(request))
        snapshot = cube_snapshot(layer.cube(request), f"{cube}.icechunk")
        inputs = {**given.inputs, "cubes": {**given.inputs.get("cubes", {}), cube: snapshot}}
        return replace(given, inputs=inputs, auxiliary={**given.auxiliary, layer.name: found})


@dataclass(frozen=True)
class _Preprocess:
    parameters: FeatureParameters
    features: frozenset[str]
    models: Mapping[str, Collection[str]] | None = None

    def __call__(self, work: Work) -> Work:
        given = loaded(work)
        tile = preprocess_v2(
            given.tile,
            tpi_outer_radius=self.parameters.tpi_outer_radius,
            tpi_inner_radius=self.parameters.tpi_inner_radius,
            device="cpu",  # beside a GPU too: a few cores are faster than copies of each window to a device and back
            **{f"ds_{name}": given.auxiliary.get(name) for name in LAYERS},
            bands=self.features,
            lazy=True,
            models=self.models,
        )
        return replace(given, tile=tile, auxiliary={})


def _draw_picture(work: Work) -> Work:
    """Draw the ground now, so that its colours need not wait for the end with everything else that is written."""
    given = loaded(work)
    return replace(given, ground=draw_ground(given.tile))


@dataclass(frozen=True)
class _Segment:
    parameters: PipelineParameters
    ensemble: "EnsembleV1"
    familiarity: Familiarity

    def __call__(self, work: Work) -> Work:
        given = loaded(work)
        self.familiarity.look(given.tile, work.ref.tile_id)
        tile = self.ensemble.segment_tile(
            given.tile,
            patch_size=self.parameters.patch_px,
            overlap=self.parameters.overlap,
            batch_size=self.parameters.batch_size,
            reflection=self.parameters.reflection,
            keep_inputs=self.parameters.write_model_outputs,
            tta=self.parameters.tta,
            uncertainty="uncertainty" in self.parameters.products,
            nobody_asks=self._out_of_extent(given.tile),
            skip_water=self.parameters.skip_water,
        )
        done = COLOURS if given.ground is not None else ()
        kept = tile if self.parameters.debug_data else _only_exported(tile, self.parameters.products, done)
        return replace(given, tile=kept)

    def _out_of_extent(self, tile: xr.Dataset) -> Callable[[slice, slice], bool] | None:
        """Return what tells where nothing of a tile is mapped; None if bands are kept whole for somebody to look at."""
        given = self.parameters
        level = quality_level_number(given.quality_level)
        if given.debug_data or level == 0:
            return None
        quality = tile["quality_data_mask"].values
        edge_px = given.mask_erosion_size if given.edge_erosion_size is None else given.edge_erosion_size
        return partial(is_out_of_extent, quality, level=level, radius=given.mask_erosion_size, edge_px=edge_px)


def _only_exported(tile: xr.Dataset, products: Sequence[str], done: Sequence[str]) -> xr.Dataset:
    """Return the tile without the bands that only the models needed: a full scene has gigabytes of them.

    Args:
        tile: The tile.
        products: What is exported.
        done: Bands that were only kept to be shown, and have been.
    """
    keep, drop = needed_variables(products), set(done) - set(SAID_VARIABLES)
    return tile[[name for name in tile.data_vars if name in keep or (is_said(str(name)) and name not in drop)]]


def is_said(name: str) -> bool:
    """Tell whether a band is shown, counted or masked, whatever is exported."""
    return name in THUMBNAIL_VARIABLES or name.split("-")[0] in (*SAID_VARIABLES, "probabilities")


@dataclass(frozen=True)
class _Postprocess:
    parameters: PipelineParameters
    model_names: Sequence[str]

    def __call__(self, work: Work) -> Work:
        given = loaded(work)
        tile = prepare_export(
            given.tile,
            bin_threshold=self.parameters.binarization_threshold,
            mask_erosion_size=self.parameters.mask_erosion_size,
            min_object_size=self.parameters.min_object_size,
            quality_level=self.parameters.quality_level,  # type: ignore[arg-type]  # the parameters have checked the number
            ensemble_subsets=subsets(self.parameters, self.model_names),
            device=self.parameters.device,
            edge_erosion_size=self.parameters.edge_erosion_size,
            drop_cut_objects=self.parameters.drop_cut_objects,
            in_place=True,
        )
        return replace(given, tile=tile)


@dataclass(frozen=True)
class _Export:
    parameters: PipelineParameters
    model_names: Sequence[str]
    making: Making
    results: Path

    def __call__(self, work: Work) -> Work:
        given = loaded(work)
        metadata = self.making.metadata(given)
        facts = export_tile(
            given.tile,
            self.results / work.ref.output_folder,
            bands=with_record(self.parameters.products),
            ensemble_subsets=subsets(self.parameters, self.model_names),
            metadata=metadata,
            debug=self.parameters.debug_data,
            overwrite=self.parameters.overwrite,
            ground=given.ground,
        )
        _say_unmapped(work.ref, facts.observed_km2)
        _say_missing(work.ref, facts.features_missing)
        result = Result(n_objects=facts.n_objects, area_m2=facts.area_m2, fingerprint=metadata[FINGERPRINT])
        return Work(work.ref, result=result)


def _say_unmapped(ref: TileRef, observed_km2: float | None) -> None:
    """Say that nothing of an image is mapped: its results look as if there were no slumps."""
    if observed_km2 == 0:
        logger.warning(
            "%s: nothing of it is mapped, for no ground is good enough far from borders and clouds", ref.tile_id
        )


def _say_missing(ref: TileRef, share: float | None) -> None:
    """Say that models had to judge ground of which they lacked a feature."""
    if share:
        percent = f"{100 * share:.1f}" if share >= _SMALLEST_SHOWN else "under 0.1"
        logger.warning("%s: features are missing on %s %% of the mapped ground", ref.tile_id, percent)


def with_record(products: Sequence[str]) -> list[str]:
    """Return the products that a run writes: those asked for, and always the record, without which none is finished."""
    return list(dict.fromkeys([*products, "metadata"]))


def subsets(parameters: PipelineParameters, model_names: Sequence[str]) -> list[str]:
    """Return the models whose own results are written; a single model's are those of the ensemble."""
    return list(model_names) if parameters.write_model_outputs and len(model_names) > 1 else []
