"""The stages of a tile, each one function of a step package: a tile goes in, a new tile comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from darts.pipelines.parameters import FeatureParameters, PipelineParameters
from darts.pipelines.tiles import Source, Work
from darts_utils.grid import metres_to_pixels

if TYPE_CHECKING:
    from darts_segmentation import EnsembleV1


type Lane = Literal["prepare", "device", "finish"]
LANES: tuple[Lane, ...] = ("prepare", "device", "finish")

TERRAIN_BANDS = frozenset(
    {"dem", "relative_elevation", "slope", "aspect", "hillshade", "curvature", "arcticdem_data_mask"}
)
TREND_BANDS = frozenset({"tc_brightness", "tc_greenness", "tc_wetness"})
_RECORDED = (
    "patch_size",
    "overlap",
    "reflection",
    "binarization_threshold",
    "mask_erosion_size",
    "edge_erosion_size",
    "min_object_size",
    "quality_level",
    "tpi_outer_radius",
    "tpi_inner_radius",
)
"""Parameters that change a result, and so go into the tags of its rasters."""
_WARP_MARGIN_M = 60
"""Margin beyond the TPI radius for the cubic kernel of the warp and the stencils, at the coarsest pixels."""


@dataclass(frozen=True)
class Stage:
    """A step that every tile passes."""

    name: str
    lane: Lane
    run: Callable[[Work], Work]


def build_stages(
    parameters: PipelineParameters, source: Source, ensemble: "EnsembleV1", features: frozenset[str]
) -> list[Stage]:
    """Return the stages of a run in their order.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from.
        ensemble: The models.
        features: Bands that a model or an export asks for; nothing else is made.
    """
    return [
        *feature_stages(parameters, source, features),
        segment_stage(parameters, ensemble),
        *result_stages(parameters, ensemble.model_names),
    ]


def feature_stages(parameters: FeatureParameters, source: Source, features: frozenset[str]) -> list[Stage]:
    """Return the stages from a reference to a tile with its features; maps and training data share them.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from.
        features: Bands to make; nothing else is made.
    """
    stages = [Stage("optical", "prepare", lambda work: replace(work, tile=source.load(work.ref)))]
    if features & TERRAIN_BANDS:
        stages.append(Stage("arcticdem", "prepare", _ArcticDem(parameters, source, features)))
    if features & TREND_BANDS:
        stages.append(Stage("tcvis", "prepare", _Trends(parameters, source)))
    return [*stages, Stage("preprocess", "prepare", _Preprocess(parameters, features))]


def segment_stage(parameters: PipelineParameters, ensemble: "EnsembleV1") -> Stage:
    """Return the stage from features to probabilities."""
    return Stage("segment", "device", _Segment(parameters, ensemble))


def result_stages(parameters: PipelineParameters, model_names: Sequence[str]) -> list[Stage]:
    """Return the stages from probabilities to files."""
    return [
        Stage("postprocess", "finish", _Postprocess(parameters, model_names)),
        Stage("export", "finish", _Export(parameters, model_names)),
    ]


def arcticdem_margin_m(parameters: FeatureParameters, resolution_m: int) -> int:
    """Return how far around a tile elevation is needed, in metres, as whole pixels of the mosaic."""
    return metres_to_pixels(parameters.tpi_outer_radius + _WARP_MARGIN_M, resolution_m) * resolution_m


@dataclass(frozen=True)
class _ArcticDem:
    parameters: FeatureParameters
    source: Source
    features: frozenset[str]

    def __call__(self, work: Work) -> Work:
        from darts_acquisition import load_arcticdem
        from darts_preprocessing import align_arcticdem
        from darts_utils.tile import geobox_of

        assert work.tile is not None
        resolution, geobox = self.source.resolution_m, geobox_of(work.tile)
        arcticdem = load_arcticdem(
            geobox,
            given(self.parameters.arcticdem_dir),
            resolution,
            buffer=arcticdem_margin_m(self.parameters, resolution) // resolution,
            offline=self.parameters.offline,
            stage_with=self.source.stage_command(work.ref),
        )
        # aligned here, so that what was read is freed before features are made
        radii = self.parameters.tpi_outer_radius, self.parameters.tpi_inner_radius
        return replace(work, arcticdem=align_arcticdem(arcticdem, geobox, *radii, bands=self.features))


@dataclass(frozen=True)
class _Trends:
    parameters: FeatureParameters
    source: Source

    def __call__(self, work: Work) -> Work:
        from darts_acquisition import load_tcvis
        from darts_utils.tile import geobox_of

        assert work.tile is not None
        tcvis = load_tcvis(
            geobox_of(work.tile),
            given(self.parameters.tcvis_dir),
            offline=self.parameters.offline,
            stage_with=self.source.stage_command(work.ref),
        )
        return replace(work, tcvis=tcvis)


@dataclass(frozen=True)
class _Preprocess:
    parameters: FeatureParameters
    features: frozenset[str]

    def __call__(self, work: Work) -> Work:
        from darts_preprocessing import preprocess_v2

        assert work.tile is not None
        tile = preprocess_v2(
            work.tile,
            work.arcticdem,
            work.tcvis,
            self.parameters.tpi_outer_radius,
            self.parameters.tpi_inner_radius,
            self.parameters.device,
            bands=self.features,
            lazy=True,
        )
        return Work(work.ref, tile)


@dataclass(frozen=True)
class _Segment:
    parameters: PipelineParameters
    ensemble: "EnsembleV1"

    def __call__(self, work: Work) -> Work:
        assert work.tile is not None
        tile = self.ensemble.segment_tile(
            work.tile,
            self.parameters.patch_size,
            self.parameters.overlap,
            self.parameters.batch_size,
            self.parameters.reflection,
            keep_inputs=self.parameters.write_model_outputs,
        )
        return Work(
            work.ref, tile if self.parameters.debug_data else _only_exported(tile, self.parameters.export_bands)
        )


def _only_exported(tile: Any, export_bands: Sequence[str]) -> Any:
    """Return the tile without the bands that only the models needed: a full scene has gigabytes of them."""
    from darts_export.check import THUMBNAIL_VARIABLES, needed_variables

    keep = {"quality_data_mask", *THUMBNAIL_VARIABLES, *needed_variables(export_bands)}
    return tile[[name for name in tile.data_vars if name in keep or str(name).startswith("probabilities")]]


@dataclass(frozen=True)
class _Postprocess:
    parameters: PipelineParameters
    model_names: Sequence[str]

    def __call__(self, work: Work) -> Work:
        from darts_postprocessing import prepare_export

        assert work.tile is not None
        tile = prepare_export(
            work.tile,
            self.parameters.binarization_threshold,
            self.parameters.mask_erosion_size,
            self.parameters.min_object_size,
            self.parameters.quality_level,  # type: ignore[arg-type]  # the parameters have checked the number
            subsets(self.parameters, self.model_names),
            self.parameters.device,
            edge_erosion_size=self.parameters.edge_erosion_size,
        )
        return Work(work.ref, tile)


@dataclass(frozen=True)
class _Export:
    parameters: PipelineParameters
    model_names: Sequence[str]

    def __call__(self, work: Work) -> Work:
        from darts_export import export_tile

        assert work.tile is not None
        export_tile(
            work.tile,
            given(self.parameters.output_data_dir) / work.ref.output_folder,
            self.parameters.export_bands,
            subsets(self.parameters, self.model_names),
            metadata=_metadata(self.parameters, work, self.model_names),
            debug=self.parameters.debug_data,
            overwrite=self.parameters.overwrite,
        )
        return Work(work.ref)


def subsets(parameters: PipelineParameters, model_names: Sequence[str]) -> list[str]:
    """Return the models whose own results are written; a single model's are those of the ensemble."""
    return list(model_names) if parameters.write_model_outputs and len(model_names) > 1 else []


def _metadata(parameters: PipelineParameters, work: Work, model_names: Sequence[str]) -> Mapping[str, Any]:
    """Return what a reader of a raster needs to know of its making."""
    import darts

    assert work.tile is not None
    recorded = {key: getattr(parameters, key) for key in _RECORDED}
    return {
        "DARTS_version": darts.__version__,
        "DARTS_pipeline": parameters.pipeline_name,
        "DARTS_tile_id": work.ref.tile_id,
        "DARTS_models": ", ".join(model_names),
        **{f"DARTS_{key}": value for key, value in recorded.items() if value is not None},
        **{key: value for key, value in work.tile.attrs.items() if isinstance(value, str | int | float)},
    }


def given(path: Path | None) -> Path:
    """Return a location of resolved parameters, which is never None."""
    assert path is not None, "stages are built from resolved parameters"
    return path
