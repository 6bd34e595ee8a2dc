"""The loop of training: Lightning's trainer with what a run keeps and shows, and its faults in words."""

import importlib.util
import logging
import os
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from darts_segmentation.training.assess.domain import check_inputs
from darts_segmentation.training.data import DartsDataModule
from darts_segmentation.training.figures.pictures import Pictures
from darts_segmentation.training.loop.averaging import averaged_weights
from darts_segmentation.training.loop.checkpoints import WholeCheckpoints, keep_checkpoints
from darts_segmentation.training.loop.history import History, read_rows
from darts_segmentation.training.loop.module import MONITORED, TrainedNetwork, check_finite
from darts_segmentation.training.loop.runs import RunFolder
from darts_segmentation.training.parameters import CommonParameters
from darts_utils.errors import ConfigError, DataError, one_line

_QUIET = ("lightning.pytorch", "lightning.fabric", "lightning_utilities")
_WRONG_DEVICES = (ValueError, RuntimeError, TypeError, ImportError, MisconfigurationException)
"""What Lightning has about them."""
_KNOWS_NODES = frozenset({"MASTER_ADDR", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID", "LSB_JOBID"})
"""Variables of what starts a process on each machine."""
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Fitting:
    """What is trained, on what, and where it is kept."""

    module: TrainedNetwork
    data: DartsDataModule
    run: RunFolder
    parameters: CommonParameters
    history: History

    @property
    def validates(self) -> bool:
        """Whether there are validation patches."""
        return bool(len(self.data.data.split.val))


def fit(work: Fitting) -> None:
    """Train a network, or go on where a run stopped; its best or last checkpoint is then in its folder.

    Raises:
        KeyboardInterrupt: If it was interrupted; the last epoch that had ended is kept.
        ConfigError: If a batch does not fit into memory, or devices are not as was asked for.
        DataError: If the loss is no number, or a patch is damaged.
        OutputError: If a checkpoint cannot be written.
    """
    given = work.parameters
    if work.run.has_learned:  # stopped early, or all epochs: only its model is missing
        work.history.rows = list(read_rows(work.run.metrics))
        return
    start = work.run.last if work.run.last.is_file() else given.continue_from_checkpoint
    with _quiet(), _in_words(work):
        trainer = make_trainer(work)
        trainer.fit(work.module, datamodule=work.data, ckpt_path=None if start is None else str(start))
        check_finite(work.module)
    if torch.distributed.is_initialized():  # one process calibrates and writes the model, and waits for no other
        torch.distributed.destroy_process_group()
    if not trainer.is_global_zero:
        raise SystemExit(0)
    work.run.ended.touch()


def make_trainer(work: Fitting) -> Trainer:
    """Return Lightning's trainer for a run.

    Raises:
        ConfigError: If there are no such devices, or a logger is not installed.
    """
    given = work.parameters
    try:
        return Trainer(
            accelerator=given.accelerator,
            devices=devices_of(given),
            strategy=strategy_of(given),
            num_nodes=given.num_nodes,
            precision="bf16-mixed" if trains_in_bfloat16(given) else "32-true",
            max_epochs=given.max_epochs,
            check_val_every_n_epoch=min(given.check_val_every_n_epoch, given.max_epochs),
            limit_val_batches=1.0 if work.validates else 0,
            log_every_n_steps=given.log_every_n_steps,
            gradient_clip_val=given.gradient_clip or None,
            accumulate_grad_batches=given.accumulate_batches,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the order is ours, so that a run can go on
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=list(loggers_of(given, work.run)) or False,
            callbacks=callbacks_of(work),
            plugins=[WholeCheckpoints()],
            default_root_dir=work.run.folder,
        )
    except _WRONG_DEVICES as error:
        if isinstance(error, ConfigError):
            raise
        wanted = f"accelerator {given.accelerator}, devices {given.devices}, strategy {given.strategy}"
        raise ConfigError(f"{wanted} cannot be had ({one_line(error, 200)}). Correct them.") from error


def callbacks_of(work: Fitting) -> list[Callback]:
    """Return what goes along with training, in the order in which each is asked."""
    given = work.parameters
    callbacks: list[Callback] = []
    if given.ema_decay is not None:
        callbacks.append(averaged_weights(given.ema_decay))
    callbacks.append(work.history)
    if work.validates and given.early_stopping_patience:
        callbacks.append(
            EarlyStopping(MONITORED, mode="max", patience=given.early_stopping_patience, check_on_train_epoch_end=False)
        )
    if work.validates:
        callbacks.append(Pictures(work.run.figures, work.data.data, every=given.plot_every_n_val_epochs))
    return [*callbacks, *keep_checkpoints(work.run, given.save_top_k, validates=work.validates)]


def loggers_of(given: CommonParameters, run: RunFolder) -> Iterator[Logger]:
    """Yield the loggers that were asked for; `metrics.csv` is always written, without one.

    Raises:
        ConfigError: If one is not installed.
    """
    if given.tensorboard:
        _require("tensorboard", "--tensorboard")
        from lightning.pytorch.loggers import TensorBoardLogger

        yield TensorBoardLogger(run.folder, name="tensorboard", version="")
    if given.wandb_project is not None or given.wandb_entity is not None:
        _require("wandb", "--wandb-project")
        from lightning.pytorch.loggers import WandbLogger

        yield WandbLogger(
            name=run.folder.name,
            id=run.run_id,
            project=given.wandb_project,
            entity=given.wandb_entity,
            save_dir=run.folder,
            resume="allow",
        )


def _require(module: str, flag: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ConfigError(
            f"{flag} needs the package {module}, which is not installed. Install darts-nextgen[{module}], or leave it "
            "out: metrics are in metrics.csv too."
        )


def devices_of(given: CommonParameters) -> Any:
    """Return devices as Lightning takes them: numbers of GPUs, and how many processes on a CPU.

    Raises:
        ConfigError: If they are no numbers, or nothing tells the machines of one another.
    """
    devices = given.devices
    if given.num_nodes > 1 and not _KNOWS_NODES.intersection(os.environ):
        raise ConfigError(
            f"num_nodes is {given.num_nodes}, but nothing says where the other machines are: each would wait for them."
            " Start it with `srun` or `torchrun`, or set MASTER_ADDR, MASTER_PORT and NODE_RANK on each."
        )
    if not devices or devices == ["auto"]:
        return 1 if given.accelerator == "cpu" else "auto"
    if not all(device.isdigit() for device in devices):
        raise ConfigError(f"devices are {', '.join(devices)}, but numbers of GPUs, or auto, are needed.")
    numbers = [int(device) for device in devices]
    return numbers[0] if given.accelerator == "cpu" else numbers


def strategy_of(given: CommonParameters) -> str:
    """Return how devices share the work: encoders that are cut off at some depth have weights that nothing reads."""
    chosen = devices_of(given)
    n_devices = chosen if isinstance(chosen, int) else torch.cuda.device_count() if chosen == "auto" else len(chosen)
    if given.strategy == "ddp" or (given.strategy == "auto" and n_devices > 1):
        return "ddp_find_unused_parameters_true"
    return given.strategy


def trains_in_bfloat16(given: CommonParameters) -> bool:
    """Return whether numbers of half precision are used in training."""
    if given.precision != "auto":
        return given.precision == "bfloat16"
    return given.accelerator != "cpu" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's own words out of the output: what users need to know is said once, by the view."""
    levels = {name: logging.getLogger(name).level for name in _QUIET}
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*|torch\..*|torchmetrics\..*")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _in_words(work: Fitting) -> Iterator[None]:
    """Turn what ends training into what a user can act upon."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except (SystemExit, SIGTERMException) as error:  # Lightning's ways of ending on Ctrl-C and SIGTERM
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error
    except DataError:
        check_inputs(work.data.data, work.parameters.batch_size)
        raise
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        size = work.parameters.batch_size
    else:
        return
    # outside of the handler, whose traceback would keep the tensors of the failed batch alive
    raise ConfigError(_advice(size, fitting_size(work, size)))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of torch says that memory was not enough."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


def _advice(size: int, fits: int) -> str:
    if not fits:
        return (
            "not even one patch fits into memory in training. Choose a smaller encoder, or patches of a smaller size."
        )
    return f"batch_size {size} does not fit into memory, but {fits} does. Use --batch-size {fits}."


def fitting_size(work: Fitting, size: int) -> int:
    """Return the largest half, quarter, ... of a batch whose step fits into memory, 0 if none does."""
    loader: Any = work.data.train_dataloader()
    batch = next(iter(loader))
    while size > 1:
        size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if _fits(work.module, {name: values[:size] for name, values in batch.items()}):
            return size
    return 0


def _fits(module: TrainedNetwork, batch: Mapping[str, torch.Tensor]) -> bool:
    try:
        torch.autograd.backward(module.loss(module(batch["x"].to(module.device)), batch["y"].to(module.device)))
    except RuntimeError as error:
        if is_out_of_memory(error):
            return False
        raise
    return True


def epoch_of(checkpoint: Path) -> int:
    """Return the number of the epoch after which a checkpoint was written, from 0 on."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["epoch"])


def best_checkpoint(run: RunFolder) -> Path:
    """Return the checkpoint with the best IoU of validation, the last one of a run without validations."""
    kept = sorted(run.checkpoints.glob("epoch=*.ckpt"))
    if not kept:
        return run.last
    state = torch.load(run.last, map_location="cpu", weights_only=True)["callbacks"]
    paths = [callback.get("best_model_path") for key, callback in state.items() if MONITORED in key]
    named = [run.checkpoints / Path(path).name for path in paths if path]
    return next((path for path in named if path.is_file()), kept[-1])
