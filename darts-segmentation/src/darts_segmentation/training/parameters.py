"""Every parameter of training, declared once; command line, config keys, docs and `hparams.yaml` come from here.

The text under a field is its help. `None` means not given. Torch is not imported before there are values to check:
help comes at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from darts_segmentation.training.splits.division import DivisionParameters, SplitParameters
from darts_utils.errors import ConfigError
from darts_utils.names import check_name
from darts_utils.numbers import check_numbers
from darts_utils.paths import settle_paths

type ScoreStrategy = Literal["harmonic", "arithmetic", "geometric", "min"]

DEFAULT_METRICS = ("val/JaccardIndex", "val/Recall")
"""Metrics that make up a score unless others are named."""
DEFAULT_AUGMENTATIONS = ("D4", "RandomBrightnessContrast", "MultiplicativeNoise", "DropLayer")


@dataclass(frozen=True, kw_only=True)
class TrainingParameters:
    """Root of all groups, so that the checks of several groups chain."""

    def __post_init__(self) -> None:
        """Resolve what users write into paths, and check the values; doing it twice changes nothing."""
        settle_paths(self)
        check_numbers((field, getattr(self, field.name)) for field in fields(self))


def _check(parameters: Any, least: float, *names: str, above: bool = False) -> None:
    for name in names:
        value = getattr(parameters, name)
        if value is not None and (value <= least if above else value < least):
            legal = f"above {least:g}" if above else f"at least {least:g}"
            raise ConfigError(f"{name} is {value} but must be {legal}. Correct it.")


@dataclass(frozen=True, kw_only=True)
class PatchSetParameters(TrainingParameters):
    """Which patches are read, and how."""

    train_data_dir: Path | None = None
    """Folder of the training set; the newest one in the training folder if not given."""
    bands: list[str] | None = None
    """Bands that the network reads, in this order; all of the set if not given."""
    in_memory: bool = False
    """Keep all patches in memory, not read in each epoch: on the GPU if half of its free memory suffices."""
    num_workers: int = 0
    """Threads that each get a batch ready; with 0 one does."""
    positive_share: float | None = None
    """Share of patches with slumps in an epoch, 0 to 1; as they are in the set if not given."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check(self, 0, "num_workers")
        if self.positive_share is not None and not 0 < self.positive_share <= 1:
            raise ConfigError(
                f"positive_share is {self.positive_share} but must be above 0 and at most 1. It is no percentage."
            )


@dataclass(frozen=True, kw_only=True)
class HyperParameters(TrainingParameters):
    """What is learned, and how."""

    model_arch: str = "Unet"
    """Architecture of segmentation-models-pytorch."""
    model_encoder: str = "dpn107"
    """Encoder of segmentation-models-pytorch, or of timm with `tu-` before its name."""
    model_encoder_weights: str | None = None
    """Pretrained weights to start the encoder with, such as imagenet; they are downloaded."""
    encoder_depth: int = 5
    """How many times the encoder halves the resolution; with 4 a network is smaller and sees less around a pixel."""
    decoder_channels: list[int] | None = None
    """Channels of the decoder from coarse to fine, as many as the encoder is deep; those of the architecture if not
    given, which are many for a small encoder."""
    decoder_interpolation: Literal["nearest", "bilinear"] | None = None
    """How the decoder enlarges; that of the architecture if not given. Bilinear maps depend less on the patch grid."""
    half_weights: bool = False
    """Keep the weights of the model in half precision: half the size, and next to no difference."""
    augment: list[str] | None = None
    """Changes that patches go through; D4, RandomBrightnessContrast, MultiplicativeNoise and DropLayer if not given."""
    learning_rate: float = 1e-3
    """Highest learning rate of AdamW."""
    lr_schedule: Literal["exponential", "cosine"] = "exponential"
    """How the learning rate falls: by gamma each epoch, or along a cosine to zero at the last epoch."""
    gamma: float = 0.9
    """Factor of the learning rate from epoch to epoch, where it falls exponentially."""
    warmup_epochs: int = 0
    """Epochs in which the learning rate rises to its height first."""
    weight_decay: float = 1e-2
    """Weight decay of AdamW."""
    loss: str = "focal"
    """focal, dice, jaccard, lovasz or bce; several with a plus between them are added."""
    focal_loss_alpha: float | None = None
    """Weight of slumps in the focal loss, that of background is one minus it; none if not given."""
    focal_loss_gamma: float = 2.0
    """How much the focal loss passes over pixels that are right already."""
    batch_size: int = 8
    """Patches in a step."""
    accumulate_batches: int = 1
    """Batches after which weights change, for batches that do not fit into memory at once."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0 leaves it as it is."""
    ema_decay: float | None = None
    """Train with a moving average of the weights that keeps this share a step, such as 0.999; none if not given."""
    ignore_edge_px: int = 0
    """Pixels on both sides of the outline of a slump that are not learned from: outlines are drawn by hand."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check(self, 0, "learning_rate", "gamma", above=True)
        if self.gamma > 1:
            raise ConfigError(f"gamma is {self.gamma} but must be at most 1: above, the learning rate grows. Lower it.")
        _check(self, 1, "batch_size", "accumulate_batches", "encoder_depth")
        if self.decoder_channels is not None and len(self.decoder_channels) != self.encoder_depth:
            raise ConfigError(
                f"decoder_channels are {len(self.decoder_channels)} numbers, but encoder_depth is {self.encoder_depth}."
                " Give one for each."
            )
        _check(self, 0, "warmup_epochs", "weight_decay", "gradient_clip", "ignore_edge_px", "focal_loss_gamma")
        for name in ("focal_loss_alpha", "ema_decay"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"{name} is {value} but must be between 0 and 1. Correct it, or leave it out.")
        _check_names_of_torch(self.loss, self.augmentations)

    @property
    def augmentations(self) -> tuple[str, ...]:
        """The changes by name, in the order in which they are made."""
        return DEFAULT_AUGMENTATIONS if self.augment is None else tuple(self.augment)


def _check_names_of_torch(loss: str, augmentations: Sequence[str]) -> None:
    from darts_segmentation.training.augment.augmentations import check_augmentation
    from darts_segmentation.training.loop.losses import check_loss

    check_loss(loss)
    for name in augmentations:
        check_augmentation(name)


@dataclass(frozen=True, kw_only=True)
class LoopParameters(TrainingParameters):
    """How long is trained, and what is kept."""

    weights_from_checkpoint: Path | None = None
    """Model or checkpoint whose weights to begin with; bands and architecture must be the same."""
    continue_from_checkpoint: Path | None = None
    """Checkpoint of a run to go on from, with its epoch, optimiser and everything."""
    max_epochs: int = 100
    """Epochs at most."""
    early_stopping_patience: int = 5
    """Validations without a better IoU after which training ends; 0 never ends it."""
    save_top_k: int = 1
    """Checkpoints to keep beside the last, those of the best IoU; without any, the model is that of the last epoch."""
    check_val_every_n_epoch: int = 3
    """Epochs between validations."""
    plot_every_n_val_epochs: int = 5
    """Validations between pictures of patches."""
    plot_augmentations: bool = False
    """Also draw what the augmentations make of some patches."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers to train in; auto takes bfloat16 on GPUs that have it."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check(self, 1, "max_epochs", "check_val_every_n_epoch", "plot_every_n_val_epochs")
        _check(self, 0, "early_stopping_patience", "save_top_k")


@dataclass(frozen=True, kw_only=True)
class LogParameters(TrainingParameters):
    """What is written down, and where."""

    artifact_dir: Path | None = None
    """Folder of the runs, the artifacts folder if not given."""
    log_every_n_steps: int = 10
    """Steps between two rows of the loss."""
    tensorboard: bool = False
    """Also log to TensorBoard (extra tensorboard)."""
    wandb_entity: str | None = None
    """Also log to this entity of Weights & Biases (extra wandb)."""
    wandb_project: str | None = None
    """Also log to this project of Weights & Biases (extra wandb)."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check(self, 1, "log_every_n_steps")


@dataclass(frozen=True, kw_only=True)
class ComputeParameters(TrainingParameters):
    """What computes."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """What computes."""
    strategy: str = "auto"
    """How several devices share the work: auto, ddp and others of Lightning."""
    devices: list[str] | None = None
    """Numbers of the GPUs, or on a CPU how many processes; all GPUs, or one process, if not given."""
    num_nodes: int = 1
    """Machines that train together."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check(self, 1, "num_nodes")


@dataclass(frozen=True, kw_only=True)
class CommonParameters(
    PatchSetParameters, HyperParameters, LoopParameters, LogParameters, ComputeParameters, TrainingParameters
):
    """What training, cross-validation and tuning share."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.warmup_epochs and self.warmup_epochs >= self.max_epochs:
            raise ConfigError(
                f"warmup_epochs is {self.warmup_epochs}, but max_epochs is {self.max_epochs}: the learning rate would"
                " never reach its height. Lower it."
            )


@dataclass(frozen=True, kw_only=True)
class RunParameters(CommonParameters, SplitParameters):
    """One training run."""

    name: str | None = None
    """Name of the run and of its model; made of architecture and encoder if not given."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.name is not None:
            check_name(self.name, "name")

    @property
    def run_name(self) -> str:
        """Name of the run."""
        return f"{self.model_arch}-{self.model_encoder}".lower() if self.name is None else self.name


@dataclass(frozen=True, kw_only=True)
class RepeatParameters(TrainingParameters):
    """How often the same is trained, and how the runs become one score."""

    n_folds: int | None = None
    """Folds to train, from the first on; all if not given."""
    n_randoms: int = 3
    """Seeds to train each fold with: 42, 21, 69, then drawn."""
    scoring_metric: list[str] | None = None
    """Metrics that score a run, each with `:higher` or `:lower`; val/JaccardIndex and val/Recall if not given."""
    multi_score_strategy: ScoreStrategy = "harmonic"
    """How the metrics of a run become one: their harmonic, arithmetic or geometric mean, or the least of them."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check(self, 1, "n_folds", "n_randoms")

    @property
    def scored_by(self) -> tuple[str, ...]:
        """The metrics that a run is scored by."""
        return DEFAULT_METRICS if self.scoring_metric is None else tuple(self.scoring_metric)


@dataclass(frozen=True, kw_only=True)
class CrossValidationParameters(CommonParameters, RepeatParameters, DivisionParameters):
    """A cross-validation."""

    cv_name: str | None = None
    """Name of the cross-validation; made of architecture and encoder if not given."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.cv_name is not None:
            check_name(self.cv_name, "cv_name")


@dataclass(frozen=True, kw_only=True)
class TuneParameters(CommonParameters, RepeatParameters, DivisionParameters):
    """A search for hyperparameters."""

    tune_name: str | None = None
    """Name of the search; made of architecture and encoder if not given."""
    n_trials: int | Literal["grid"] = 100
    """Settings to try in all, by all processes together; `grid` tries every combination."""
    hpconfig: Path | None = None
    """YAML or TOML file with the distributions, under `hyperparameters`; if not given, learning rate, gamma, focal
    gamma and batch size are searched."""
    sampler: Literal["tpe", "random"] = "tpe"
    """How settings are drawn: by what was good so far, or at random."""
    prune: bool = False
    """End a trial early whose IoU is below the median of the others, from epoch 5 on."""
    retrain_and_test: bool = False
    """Train once more with the best settings, and test that model."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.n_trials != "grid":
            _check(self, 1, "n_trials")
        if self.tune_name is not None:
            check_name(self.tune_name, "tune_name")


@dataclass(frozen=True, kw_only=True)
class UseParameters(TrainingParameters, SplitParameters):
    """What is done with models that are trained, on patches of a set."""

    train_data_dir: Path | None = None
    """Folder of the training set; the newest one in the training folder if not given."""
    batch_size: int = 8
    """Patches at once."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """What computes."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        _check(self, 1, "batch_size")

    @property
    def asks_for_division(self) -> bool:
        """Whether anything is said about which patches are for test."""
        return any(getattr(self, field.name) != field.default for field in fields(SplitParameters))

    def division(self) -> SplitParameters:
        """Return how the set is divided."""
        return SplitParameters(**{field.name: getattr(self, field.name) for field in fields(SplitParameters)})


@dataclass(frozen=True, kw_only=True)
class TestParameters(UseParameters):
    """The test of a model."""

    __test__ = False  # it is no test, whatever pytest thinks of its name

    model_file: Path | None = None
    """The model; that of the newest run if neither it nor a name is given."""
    name: str | None = None
    """Name of the run whose model is tested."""
    artifact_dir: Path | None = None
    """Folder of the runs, the artifacts folder if not given."""


@dataclass(frozen=True, kw_only=True)
class CalibrateParameters(UseParameters):
    """The calibration of models that are there."""

    name: str | None = None
    """Name of the ensemble, of which several models need one."""
    force: bool = False
    """Calibrate on patches whose scenes or regions a model has learned from too; the card says so."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.name is not None:
            check_name(self.name, "name")


NOT_DECISIVE = frozenset({
    "artifact_dir", "train_data_dir", "in_memory", "num_workers", "log_every_n_steps", "tensorboard", "wandb_entity",
    "wandb_project", "accelerator", "devices", "num_nodes", "strategy", "plot_every_n_val_epochs", "plot_augmentations",
    "save_top_k", "name", "continue_from_checkpoint",
})  # fmt: skip
"""Parameters that may differ where a run goes on: what is learned does not depend on them."""
