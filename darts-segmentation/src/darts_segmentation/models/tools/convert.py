"""Files of Lightning and of older layouts become `.safetensors`; nothing is stated that they do not say."""

import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darts_segmentation.models.checkpoint import read_model
from darts_segmentation.models.safe_file import write_model
from darts_segmentation.models.tools.pack import Written, target_of
from darts_utils.errors import CheckpointError, with_kind

_DEEPEST = 50
"""Levels of containers in each other; a configuration has a handful, and one that holds itself has no end."""


def convert(file: Path, out: Path | None = None, *, trust: bool = False, overwrite: bool = False) -> Written:
    """Write a model as `.safetensors`, with exactly what the file says of it.

    Args:
        file: A file that `torch.save` or Lightning wrote, or a `.safetensors` model.
        out: The file to write; beside the older one, of its name, if not given.
        trust: Whether objects of the file are made by Python's own unpickler, which runs code that the file holds.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        CheckpointError: If the file is not a usable model, or holds objects and is not trusted.
        ConfigError: If the name to write has another suffix.
        OutputError: If there is such a file already, or it cannot be written.
    """
    target = target_of(file, out, overwrite=overwrite)
    if not trust:
        return _written(file, file, target)
    with tempfile.TemporaryDirectory(prefix="darts-convert-") as folder:
        plain = Path(folder) / file.name
        torch.save(plain_content(_unpickled(file)), plain)
        return _written(file, plain, target)


def _written(file: Path, read: Path, target: Path) -> Written:
    try:
        card, weights = read_model(read)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(read), str(file))) from error
    former = str(card.model_id)
    return Written(file=target, card=write_model(target, card, weights), former_id=former)


def _unpickled(file: Path) -> object:
    """Return the content of a file, made by Python's own unpickler: code of the file runs.

    Raises:
        CheckpointError: If it cannot be read, such as for want of a package that it names.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=False)
    except ImportError as error:
        raise CheckpointError(
            f"{file} holds objects of the package {error.name}, which is not installed. Install it, and try again."
        ) from error
    except Exception as error:  # whatever the code of the file raises
        reason = with_kind(error, 200)
        raise CheckpointError(f"{file} cannot be unpickled ({reason}). Copy it again, or ask who wrote it.") from error


def plain_content(value: Any, depth: int = 0) -> Any:
    """Return tensors and plain containers in place of what objects hold; what has no plain form becomes None.

    Mappings, sequences, namespaces and dataclasses (so configurations of OmegaConf too) keep their items.

    Raises:
        CheckpointError: If it is nested without end.
    """
    if depth > _DEEPEST:
        raise CheckpointError(f"the file holds containers nested deeper than {_DEEPEST} levels. Write it anew plainly.")
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.nn.Module):
        return value.state_dict()
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        return {_plain_key(key): plain_content(item, depth + 1) for key, item in value.items()}
    if isinstance(value, Sequence | Set):
        return [plain_content(item, depth + 1) for item in value]
    return None


def _plain_key(key: object) -> object:
    return key if key is None or isinstance(key, str | int | float | bytes) else str(key)


def convert_lightning_checkpoint(checkpoint: Path | str, out: Path | str | None = None, *, trust: bool = False) -> Path:
    """Return the `.safetensors` model written of a checkpoint of Lightning, see `convert`.

    Args:
        checkpoint: The checkpoint.
        out: The file to write; beside the checkpoint, of its name, if not given.
        trust: Whether code that the checkpoint holds may run.

    Raises:
        CheckpointError: If it is not a usable model, or holds objects and is not trusted.
        OutputError: If there is such a file already, or it cannot be written.
    """
    return convert(Path(checkpoint), None if out is None else Path(out), trust=trust).file
