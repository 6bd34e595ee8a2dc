"""The parameters that only training data has, each declared once; the others are those of the pipelines."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from darts.command_line.panels import ADVANCED, DATA, OUTPUT, SELECT
from darts.pipelines.parameters import Parameters, check_patches
from darts_utils.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LabelParameters(Parameters, panel=SELECT):
    """Where labels lie, and the training data that is made with them."""

    labels_dir: Path
    """Folder of labels and footprints: `*/TrainingLabel*.gpkg` and `*/ImageFootprints*.gpkg`."""
    train_data_dir: Annotated[Path | None, OUTPUT] = None
    """Folder for the training data, `{training}/{pipeline}_{patch_size}` if not given."""
    admin_dir: Annotated[Path | None, DATA] = None
    """Folder of the administrative boundaries, `{aux}/admin_boundaries` if not given."""
    preprocess_cache: Annotated[Path | None, DATA] = None
    """Folder to keep features of images in, in the compact form of caches; `{cache_dir}/{pipeline}` if cache_dir is
    given; without either, none are kept."""
    force_preprocess: Annotated[bool, DATA] = False
    """Make features anew, whatever the cache holds."""
    append: Annotated[bool, OUTPUT] = True
    """Go on with the training data that is there; otherwise replace it."""


@dataclass(frozen=True, kw_only=True)
class TrainingPatchParameters(Parameters, panel=OUTPUT):
    """Which patches are taken."""

    patch_size: int = 1024
    """Edge of a patch, in pixels."""
    overlap: int = 16
    """Overlap of neighbouring patches of training data, in pixels."""
    exclude_nopositive: bool = False
    """Leave out patches without a slump."""
    exclude_nan: bool = True
    """Leave out patches in which a band has no data somewhere."""
    extra_bands: list[str] | None = None
    """Bands of the patches beyond the thirteen of every training set, such as ndwi; they come last."""
    shard_size: int | None = None
    """Patches in one file, for file systems that suffer from many small ones; a file a patch if not given."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_patches(self.patch_size, self.overlap)
        if self.shard_size is not None and self.shard_size <= 0:
            raise ConfigError(f"shard_size is {self.shard_size} but must be positive. Use 1 or more.")


@dataclass(frozen=True, kw_only=True)
class TrainingImageParameters(Parameters, panel=SELECT):
    """Where the images lie that labels were drawn on."""

    data_dir: Path
    """Folder of the PlanetScope orthotiles and scenes."""


@dataclass(frozen=True, kw_only=True)
class MatchingParameters(Parameters, panel=SELECT):
    """Which Sentinel-2 scenes stand in for the PlanetScope images that labels were drawn on."""

    planet_data_dir: Path | None = None
    """Folder of the PlanetScope images, to move labels to where Sentinel-2 sees the slumps; without it they stay."""
    matching_cache: Annotated[Path | None, ADVANCED] = None
    """File that keeps which scene matches which image, `{train_data_dir}/matching-cache.json` if not given."""
    no_matching_cache: Annotated[bool, ADVANCED] = False
    """Neither read nor keep which scene matches which image."""
    matching_day_range: int = 7
    """Most days between a scene and an image."""
    matching_max_cloud_cover: int = 10
    """Most cloud cover of a scene, in percent."""
    matching_min_intersects: float = 0.7
    """Least share of a footprint that a scene covers, 0 to 1."""
    save_matching_scores: Annotated[bool, ADVANCED] = False
    """Also write the scores of all candidates, as `{train_data_dir}/matching-scores.parquet`."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.matching_day_range < 0:
            raise ConfigError(f"matching_day_range is {self.matching_day_range} but must not be negative.")
        if not 0 <= self.matching_max_cloud_cover <= 100:
            raise ConfigError(
                f"matching_max_cloud_cover is {self.matching_max_cloud_cover} but must be from 0 to 100 percent."
            )
        if not 0 < self.matching_min_intersects <= 1:
            raise ConfigError(
                f"matching_min_intersects is {self.matching_min_intersects} but must be above 0 and at most 1. "
                "It is a share, not percent."
            )
