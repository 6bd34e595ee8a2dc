"""What is said of how results were made: in every file what fits, in the record of a tile all that a reviewer asks."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import rasterio

import darts
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.results.fingerprint import Models, Recipe, fingerprint_of, recipe_of
from darts.pipelines.results.finished import DOCUMENT, SEEN
from darts.pipelines.tiles import Loaded, MosaicResolution
from darts_export.image import acquired, sensor
from darts_export.record import FINGERPRINT, THRESHOLDS, TIERS
from darts_utils.parameters import Precision

_PACKAGES = ("torch", "segmentation-models-pytorch", "timm", "numpy", "xarray", "rasterio", "pyogrio", "icechunk")


@dataclass(frozen=True, kw_only=True)
class Making:
    """How the tiles of a run are made."""

    pipeline: str
    recipe: Recipe
    software: Mapping[str, str]
    device: str
    """What the networks run on."""
    is_calibrated: bool
    """Whether probabilities are calibrated, and thresholds of one scene thus mean the same in another."""
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    """`low medium high` of the tiers of objects; empty where probabilities are not calibrated."""

    @property
    def precision(self) -> Precision:
        """What the models compute in."""
        return self.recipe.precision

    @property
    def patch_px(self) -> int:
        """Edge of the patches that they see, in pixels."""
        return int(self.recipe.parameters["patch_size"])

    def metadata(self, work: Loaded) -> dict[str, Any]:
        """Return what is said of a tile; values that are none of text and numbers stand in its record only."""
        document = self.recipe.document(work.ref, work.inputs.get("image", {}))
        attributes = {str(key): value for key, value in work.tile.attrs.items() if isinstance(value, str | int | float)}
        return {
            "DARTS_version": darts.__version__,
            "DARTS_pipeline": self.pipeline,
            "DARTS_tile_id": work.ref.tile_id,
            "DARTS_models": ", ".join(f"{name} {model_id}" for name, model_id in self.recipe.models.items()),
            "DARTS_calibrated": self.is_calibrated,
            **{f"DARTS_{name}": value for name, value in document["parameters"].items() if value is not None},
            FINGERPRINT: fingerprint_of(document),
            **attributes,
            "acquired": acquired(work.tile),
            "sensor": sensor(work.tile),
            THRESHOLDS: {name: self.thresholds.get(name) for name in TIERS} if self.thresholds else {},
            DOCUMENT: document,
            SEEN: work.inputs.get("files", {}),
            "DARTS_cubes": work.inputs.get("cubes", {}),
            "DARTS_software": dict(self.software),
            "DARTS_device": {"device": self.device, "host": platform.node()},
        }


def making_of(run: PipelineParameters, models: Models, resolution_m: MosaicResolution) -> Making:
    """Return how the tiles of a run are made.

    Args:
        run: Its parameters.
        models: Its models.
        resolution_m: Pixel size of the ArcticDEM mosaic that it reads.
    """
    recipe = recipe_of(run, models, resolution_m)
    is_calibrated = models.is_calibrated and run.tta == "none"  # the mean of views is another thing
    return Making(
        pipeline=run.pipeline_name, recipe=recipe, software=software(), device=models.device,
        is_calibrated=is_calibrated, thresholds=models.thresholds if is_calibrated else {},
    )  # fmt: skip


def software() -> dict[str, str]:
    """Return the versions of what computes and writes results."""
    return {"darts": darts.__version__, "python": platform.python_version(), "gdal": _gdal(), **_installed()}


def _installed() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _gdal() -> str:
    return str(rasterio.__gdal_version__)
