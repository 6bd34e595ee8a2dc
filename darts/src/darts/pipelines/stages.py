"""The stages of a tile, each one function of a step package: a tile goes in, a new tile comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from darts.pipelines.tiles import Source, Work
from darts_utils.grid import metres_to_pixels

if TYPE_CHECKING:
    from darts.pipelines.base import Pipeline
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


def build_stages(pipeline: "Pipeline", source: Source, ensemble: "EnsembleV1", features: frozenset[str]) -> list[Stage]:
    """Return the stages of a run in their order.

    Args:
        pipeline: The resolved parameters.
        source: Where the images come from.
        ensemble: The models.
        features: Bands that a model or an export asks for; nothing else is made.
    """
    stages = [Stage("optical", "prepare", lambda work: replace(work, tile=source.load(work.ref)))]
    if features & TERRAIN_BANDS:
        stages.append(Stage("arcticdem", "prepare", _ArcticDem(pipeline, source)))
    if features & TREND_BANDS:
        stages.append(Stage("tcvis", "prepare", _Trends(pipeline, source)))
    return [
        *stages,
        Stage("preprocess", "prepare", _Preprocess(pipeline, features)),
        Stage("segment", "device", _Segment(pipeline, ensemble)),
        Stage("postprocess", "finish", _Postprocess(pipeline, ensemble.model_names)),
        Stage("export", "finish", _Export(pipeline, ensemble.model_names)),
    ]


@dataclass(frozen=True)
class _ArcticDem:
    pipeline: "Pipeline"
    source: Source

    def __call__(self, work: Work) -> Work:
        from darts_acquisition import load_arcticdem
        from darts_utils.tile import geobox_of

        assert work.tile is not None
        resolution = self.source.resolution_m
        arcticdem = load_arcticdem(
            geobox_of(work.tile),
            _given(self.pipeline.arcticdem_dir),
            resolution,  # type: ignore[arg-type]
            buffer=metres_to_pixels(self.pipeline.tpi_outer_radius + _WARP_MARGIN_M, resolution),
            offline=self.pipeline.offline,
            stage_with=self.source.stage_command(work.ref),
        )
        return replace(work, arcticdem=arcticdem)


@dataclass(frozen=True)
class _Trends:
    pipeline: "Pipeline"
    source: Source

    def __call__(self, work: Work) -> Work:
        from darts_acquisition import load_tcvis
        from darts_utils.tile import geobox_of

        assert work.tile is not None
        tcvis = load_tcvis(
            geobox_of(work.tile),
            _given(self.pipeline.tcvis_dir),
            offline=self.pipeline.offline,
            stage_with=self.source.stage_command(work.ref),
        )
        return replace(work, tcvis=tcvis)


@dataclass(frozen=True)
class _Preprocess:
    pipeline: "Pipeline"
    features: frozenset[str]

    def __call__(self, work: Work) -> Work:
        from darts_preprocessing import preprocess_v2

        assert work.tile is not None
        tile = preprocess_v2(
            work.tile,
            work.arcticdem,
            work.tcvis,
            self.pipeline.tpi_outer_radius,
            self.pipeline.tpi_inner_radius,
            self.pipeline.device,
            bands=self.features,
        )
        return Work(work.ref, tile)


@dataclass(frozen=True)
class _Segment:
    pipeline: "Pipeline"
    ensemble: "EnsembleV1"

    def __call__(self, work: Work) -> Work:
        assert work.tile is not None
        tile = self.ensemble.segment_tile(
            work.tile,
            self.pipeline.patch_size,
            self.pipeline.overlap,
            self.pipeline.batch_size,
            self.pipeline.reflection,
            keep_inputs=self.pipeline.write_model_outputs,
        )
        return Work(work.ref, tile if self.pipeline.debug_data else _only_exported(tile, self.pipeline.export_bands))


def _only_exported(tile: Any, export_bands: Sequence[str]) -> Any:
    """Return the tile without the bands that only the models needed: a full scene has gigabytes of them."""
    from darts_export.check import THUMBNAIL_VARIABLES, needed_variables

    keep = {"quality_data_mask", *THUMBNAIL_VARIABLES, *needed_variables(export_bands)}
    return tile[[name for name in tile.data_vars if name in keep or str(name).startswith("probabilities")]]


@dataclass(frozen=True)
class _Postprocess:
    pipeline: "Pipeline"
    model_names: Sequence[str]

    def __call__(self, work: Work) -> Work:
        from darts_postprocessing import prepare_export

        assert work.tile is not None
        tile = prepare_export(
            work.tile,
            self.pipeline.binarization_threshold,
            self.pipeline.mask_erosion_size,
            self.pipeline.min_object_size,
            self.pipeline.quality_level,  # type: ignore[arg-type]  # the parameters have checked the number
            subsets(self.pipeline, self.model_names),
            self.pipeline.device,
            edge_erosion_size=self.pipeline.edge_erosion_size,
        )
        return Work(work.ref, tile)


@dataclass(frozen=True)
class _Export:
    pipeline: "Pipeline"
    model_names: Sequence[str]

    def __call__(self, work: Work) -> Work:
        from darts_export import export_tile

        assert work.tile is not None
        export_tile(
            work.tile,
            _given(self.pipeline.output_data_dir) / work.ref.output_folder,
            self.pipeline.export_bands,
            subsets(self.pipeline, self.model_names),
            metadata=_metadata(self.pipeline, work, self.model_names),
            debug=self.pipeline.debug_data,
            overwrite=self.pipeline.overwrite,
        )
        return Work(work.ref)


def subsets(pipeline: "Pipeline", model_names: Sequence[str]) -> list[str]:
    """Return the models whose own results are written; a single model's are those of the ensemble."""
    return list(model_names) if pipeline.write_model_outputs and len(model_names) > 1 else []


def _metadata(pipeline: "Pipeline", work: Work, model_names: Sequence[str]) -> Mapping[str, Any]:
    """Return what a reader of a raster needs to know of its making."""
    import darts

    assert work.tile is not None
    recorded = {key: getattr(pipeline, key) for key in _RECORDED}
    return {
        "DARTS_version": darts.__version__,
        "DARTS_pipeline": pipeline.pipeline_name,
        "DARTS_tile_id": work.ref.tile_id,
        "DARTS_models": ", ".join(model_names),
        **{f"DARTS_{key}": value for key, value in recorded.items() if value is not None},
        **{key: value for key, value in work.tile.attrs.items() if isinstance(value, str | int | float)},
    }


def _given(path: Path | None) -> Path:
    assert path is not None, "stages are built from resolved parameters"
    return path
