"""The parameters of the pipelines, each declared once; command line, config keys, docs and dumped configs follow them.

Those that select images and say where they lie are in `darts.pipelines.sources.parameters`. The text under a field is
its help. `None` means not given. Units are in the text where a name cannot carry them.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from darts.command_line.panels import ADVANCED, DATA, DEVICE, MODELS, OUTPUT, QUALITY, SELECT, InPanel
from darts.utils.base_folders import TakesBaseFolders
from darts_utils.errors import ConfigError
from darts_utils.numbers import check_numbers
from darts_utils.parameters import check_overlap, check_tcvis_year, check_tta, quality_level_number
from darts_utils.paths import DefaultPaths, settle_paths

PATCH_SIZES = (1024, 1536, 2048)
"""Edges of patches, in pixels, that `auto` chooses among; beyond them little is computed twice."""
_WIDEST_REFLECTION_PX = 4096


@dataclass(frozen=True, kw_only=True)
class Parameters(InPanel):
    """Root of all groups, so that the checks of several groups chain."""

    def __post_init__(self) -> None:
        """Resolve what users write into paths, and check the values; doing it twice changes nothing."""
        settle_paths(self)
        check_numbers((field, getattr(self, field.name)) for field in fields(self))


def _check_not_negative(name: str, value: float | None) -> None:
    if value is not None and value < 0:
        raise ConfigError(f"{name} is {value} but must not be negative. Use 0 or more.")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and value <= 0:
        raise ConfigError(f"{name} is {value} but must be positive. Use 1 or more.")


@dataclass(frozen=True, kw_only=True)
class AuxiliaryParameters(Parameters, metaclass=TakesBaseFolders, panel=DATA):
    """Where auxiliary data lies."""

    default_dirs: Annotated[DefaultPaths, Parameter(name="*")] = field(default_factory=DefaultPaths)
    """Base folders of all default locations."""
    arcticdem_dir: Path | None = None
    """ArcticDEM datacube, `{aux}/arcticdem_{resolution}m.icechunk` if not given."""
    tcvis_dir: Path | None = None
    """TCVIS datacube for all images, or a folder of datacubes; `{aux}/tcvis.icechunk` if not given. Where that is not
    there, `TCTrend{year}.icechunk` beside it serves, by the year of each image."""


@dataclass(frozen=True, kw_only=True)
class EditionParameters(Parameters, panel=DATA):
    """Which editions of auxiliary data are read."""

    tcvis_year: int | None = None
    """Last of the twenty years of the trends (2019, 2020, 2022, 2024); if not given, tcvis_dir serves, or the year of
    each image decides."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_tcvis_year(self.tcvis_year)


@dataclass(frozen=True, kw_only=True)
class PathParameters(AuxiliaryParameters, panel=OUTPUT):
    """Where models and results lie."""

    model_files: Annotated[list[Path] | Path | None, MODELS] = None
    """Model files; several make an ensemble. If not given, every `*.safetensors` and `*.pt` of the models folder
    that was not trained on another sensor is taken. An ensemble card among them is used; without one, that which lies
    beside them."""
    output_data_dir: Path | None = None
    """Folder for the results, `{output}/{pipeline}` if not given."""
    metadata_dir: Annotated[Path | None, ADVANCED] = None
    """Folder for the record of the run, beside the results if not given."""


@dataclass(frozen=True, kw_only=True)
class DeviceParameters(Parameters, panel=DEVICE):
    """What computes."""

    device: Literal["cuda", "cpu", "auto"] | int | None = None
    """cpu, cuda (the first GPU), the number of a GPU, or auto (a mostly free GPU, else the CPU)."""


@dataclass(frozen=True, kw_only=True)
class EarthEngineParameters(Parameters, panel=DATA):
    """Access to Google Earth Engine."""

    ee_project: str | None = None
    """Earth Engine project; not needed if the stored credentials name one."""
    ee_use_highvolume: Annotated[bool, ADVANCED] = True
    """Use Earth Engine's high-volume endpoint."""


@dataclass(frozen=True, kw_only=True)
class CatalogEndpoints(Parameters):
    """Addresses of catalogues of scenes, for mirrors; each is also a variable of the environment, `DARTS_...`."""

    cdse_stac_url: str | None = None
    """Catalogue of the Copernicus Data Space."""
    earthsearch_stac_url: str | None = None
    """Catalogue of Earth Search."""
    ee_url: str | None = None
    """Earth Engine."""


@dataclass(frozen=True, kw_only=True)
class EndpointParameters(CatalogEndpoints):
    """Addresses of all services."""

    cdse_s3_endpoint: str | None = None
    """Storage of the Copernicus Data Space."""
    arcticdem_stac_url: str | None = None
    """Catalogue of the ArcticDEM mosaics."""
    arcticdem_index_url: str | None = None
    """Zip file with the tile index of the ArcticDEM mosaics."""


@dataclass(frozen=True, kw_only=True)
class TpiParameters(Parameters):
    """The topographic position index (relative elevation)."""

    tpi_outer_radius: int = 100
    """Outer radius of the neighbourhood, in metres."""
    tpi_inner_radius: int = 0
    """Inner radius of the neighbourhood, in metres; 0 makes it a disk, more a ring."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check_positive("tpi_outer_radius", self.tpi_outer_radius)
        _check_not_negative("tpi_inner_radius", self.tpi_inner_radius)
        if self.tpi_inner_radius >= self.tpi_outer_radius:
            raise ConfigError(
                f"tpi_inner_radius is {self.tpi_inner_radius} m but must be below tpi_outer_radius "
                f"({self.tpi_outer_radius} m). Lower the inner or raise the outer radius."
            )


def check_patches(patch_size: int, overlap: int) -> None:
    """Refuse patches that cannot cover a tile.

    Raises:
        ConfigError: If a size is out of its range.
    """
    _check_positive("patch_size", patch_size)
    _check_not_negative("overlap", overlap)
    check_overlap(overlap, patch_size)


@dataclass(frozen=True, kw_only=True)
class InferenceParameters(Parameters, panel=MODELS):
    """How networks see a tile."""

    patch_size: Annotated[int | Literal["auto"], DEVICE] = 1024
    """Edge of a patch, in pixels; auto takes the largest of 1024, 1536 and 2048 that networks have memory for."""
    overlap: Annotated[int, ADVANCED] = 256
    """Overlap of neighbouring patches, in pixels."""
    batch_size: Annotated[int, DEVICE] = 8
    """Patches that a network sees at once, on the CPU no more than a megapixel of them; less needs less memory."""
    reflection: Annotated[int, ADVANCED] = 0
    """Pixels by which the tile's border is mirrored outwards before it is cut into patches."""
    tta: Literal["none", "minimal", "standard", "full"] = "none"
    """Test-time augmentation: models see 1, 2, 4 or 8 views of each patch, which takes as many times as long."""
    skip_water: bool = False
    """Do not show models patches that are wholly water by the classification of a Sentinel-2 scene; other images have
    none, and are shown whole."""
    precision: Annotated[Literal["auto", "float32", "bfloat16", "float16"], DEVICE] = "auto"
    """What models compute in; auto takes what the results folder holds already, else the fastest that the device has
    and that says the same as float32 on the first image. For publication float32."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if isinstance(self.patch_size, str) and self.patch_size != "auto":
            raise ConfigError(f"patch_size is {self.patch_size!r} but must be a whole number or auto. Correct it.")
        check_patches(PATCH_SIZES[0] if self.patch_size == "auto" else self.patch_size, self.overlap)
        check_tta(self.tta)
        _check_positive("batch_size", self.batch_size)
        _check_not_negative("reflection", self.reflection)
        if self.reflection > _WIDEST_REFLECTION_PX:
            raise ConfigError(
                f"reflection is {self.reflection} px but must be at most {_WIDEST_REFLECTION_PX}: networks see no "
                "farther. Lower it."
            )

    @property
    def patch_px(self) -> int:
        """Edge of a patch, in pixels, once it is settled.

        Raises:
            ConfigError: If it is not.
        """
        if self.patch_size == "auto":
            raise ConfigError("patch_size is auto, but must be a number here. Give one, such as 1024.")
        return self.patch_size


@dataclass(frozen=True, kw_only=True)
class PostprocessingParameters(Parameters, panel=QUALITY):
    """From probabilities to objects."""

    binarization_threshold: float = 0.5
    """A pixel is a slump where its probability is above this, 0 to 1."""
    mask_erosion_size: int = 10
    """Radius of the disk by which valid ground is eroded, in pixels."""
    drop_cut_objects: bool = False
    """Leave out objects that the border of the mapped ground or of the image cuts; else they stay, marked as cut."""
    edge_erosion_size: Annotated[int | None, ADVANCED] = None
    """Rows and columns cut at the tile's edge, in pixels; as mask_erosion_size if not given, 0 cuts nothing."""
    min_object_size: int = 32
    """Smallest object that is kept, in pixels."""
    quality_level: int | Literal["high_quality", "low_quality", "none"] = 1
    """Least quality of ground that counts as valid: none (0), low_quality (1) or high_quality (2)."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        for name in ("mask_erosion_size", "edge_erosion_size", "min_object_size"):
            _check_not_negative(name, getattr(self, name))
        if not 0 <= self.binarization_threshold <= 1:
            raise ConfigError(
                f"binarization_threshold is {self.binarization_threshold} but must be from 0 to 1. "
                "It is a probability, not percent."
            )
        quality_level_number(self.quality_level)


@dataclass(frozen=True, kw_only=True)
class ExportParameters(Parameters, panel=OUTPUT):
    """What is written for a tile."""

    export_bands: list[str] = field(
        default_factory=lambda: ["probabilities", "binarized", "polygonized", "extent", "thumbnail"]
    )
    """probabilities, binarized, polygonized, observed, density, extent, thumbnail, optical, dem, tcvis, metadata,
    bands."""
    write_model_outputs: bool = False
    """Also write the result of each model, not only that of the ensemble."""
    uncertainty: bool = False
    """Also write uncertainty.tif, how far models and the views of tta differ; as that band in export_bands does."""
    overwrite: bool = False
    """Make tiles again that are there already."""
    keep_old: bool = False
    """Leave tiles alone that were made with other parameters, models or images, instead of stopping before them."""
    debug_data: Annotated[bool, ADVANCED] = False
    """Also write all bands of a tile as netCDF."""
    inventory: bool = True
    """End with one inventory of all tiles in the results folder, if their objects are exported."""
    report: bool = True
    """End with a page over all tiles in the results folder (index.html), and a QGIS project."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if not self.export_bands:
            raise ConfigError("export_bands is empty, so nothing would be written. Name at least one product.")
        if self.overwrite and self.keep_old:
            raise ConfigError("overwrite makes tiles again that keep_old leaves alone. Give one of them.")

    @property
    def products(self) -> list[str]:
        """All products that are asked for, by whatever parameter; with objects comes what inventories need beside."""
        has_objects = "polygonized" in self.export_bands
        implied = {"observed": has_objects, "density": has_objects, "uncertainty": self.uncertainty}
        return list(dict.fromkeys([*self.export_bands, *(name for name, is_wanted in implied.items() if is_wanted)]))


@dataclass(frozen=True, kw_only=True)
class WorkParameters(Parameters, panel=DATA):
    """How work goes through its tiles."""

    offline: bool = False
    """Use only what is staged; open no network connection."""
    max_memory_gb: Annotated[float | None, DEVICE] = None
    """Memory for the tiles in work together, in GiB; half of this machine's if not given."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check_positive("max_memory_gb", self.max_memory_gb)


@dataclass(frozen=True, kw_only=True)
class RunParameters(WorkParameters, panel=OUTPUT):
    """What a run asks and shows."""

    dry_run: bool = False
    """Only show what would be done and fetched."""
    shard: Annotated[str | None, SELECT] = None
    """Only a part of what is selected: 2/4 is the second of four parts; slurm is that of the task of a job array."""
    yes: bool = False
    """Answer every question with yes, so that nothing is asked."""


@dataclass(frozen=True, kw_only=True)
class FeatureParameters(
    WorkParameters,
    TpiParameters,
    EndpointParameters,
    EarthEngineParameters,
    DeviceParameters,
    EditionParameters,
    AuxiliaryParameters,
):
    """What it takes to make features of images, for maps as well as for training."""


@dataclass(frozen=True, kw_only=True)
class PipelineParameters(
    RunParameters,
    ExportParameters,
    PostprocessingParameters,
    InferenceParameters,
    FeatureParameters,
    PathParameters,
):
    """What all pipelines share."""

    @property
    def pipeline_name(self) -> str:
        """Name of the pipeline, which is also the name of its results folder."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class RayParameters(Parameters, panel=DEVICE):
    """Work on a Ray cluster."""

    num_cpus: int = 1
    """CPUs of each worker that prepares or finishes scenes; a machine has as many workers as it has room for."""
    devices: list[int] | None = None
    """Numbers of the GPUs to use, on each machine; all of the cluster if not given."""
    ray_address: str | None = None
    """Running Ray cluster, auto or HOST:PORT; if not given, one is started on this machine and ends with the run."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check_positive("num_cpus", self.num_cpus)
        if self.devices is not None and not self.devices:
            raise ConfigError("devices is empty. Name at least one GPU, or leave it out to use all.")
        for number in self.devices or []:
            _check_not_negative("devices", number)
