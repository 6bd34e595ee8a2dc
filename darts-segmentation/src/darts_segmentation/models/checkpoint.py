"""Models on disk, read as the untrusted files that they are, whatever their layout.

A file holds the arguments of `segmentation_models_pytorch.create_model`, the ordered bands and the weights. Training
writes `.safetensors` with a card in its header; `.pt` and `.ckpt` are read too: only tensors and plain containers are
unpickled, so that a file from a stranger cannot run code. Nothing is downloaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from darts_segmentation.models.architecture import build, check_output, checked_arguments, outline
from darts_segmentation.models.card import BandRange, ModelCard, check_ranges
from darts_segmentation.models.container import Container, ContainerError, open_container
from darts_segmentation.models.safe_file import SafeFile, card_id, is_safe_file
from darts_segmentation.models.stored import StoredTensor
from darts_segmentation.models.unpickling import UnknownObjectError
from darts_segmentation.models.weight_names import by_own_names
from darts_segmentation.models.weights import Weights, WeightsFile, read_weights
from darts_segmentation.models.wording import brief, listed
from darts_utils.bands import manager
from darts_utils.errors import CheckpointError
from darts_utils.files import atomic_file

FORMAT = "darts-segmentation"
"""Marks a file of our own format."""
VERSION = 1
"""Version of our own format that is written, and the newest that is read."""

_CONVERT = (
    "Only tensors and plain containers are read: if you trust who wrote it, `darts models convert FILE --trust` runs"
    " the code in it and writes it anew."
)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a file says of its model, checked for form but not yet built into a network."""

    path: Path
    """The file it came from."""
    card: ModelCard
    """All that it says; of layouts that say less, the rest is None."""
    model_config: Mapping[str, Any]
    """Arguments of `segmentation_models_pytorch.create_model`; `encoder_weights` is None, whatever the file says."""
    file: WeightsFile
    """The file itself."""
    stored: Mapping[str, StoredTensor]
    """Its weights by the names in the file, not read yet."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands in the order of the network's input channels."""
        return self.card.band_names


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A network ready for use, and what is to be known of it."""

    network: nn.Module
    """On the CPU, in evaluation mode, with float32 weights."""
    card: ModelCard
    """What is known of it, its id among it."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands in the order of the network's input channels."""
        return self.card.band_names

    @property
    def model_id(self) -> str:
        """See `model_id`."""
        return str(self.card.model_id)


def save_checkpoint(
    path: Path,
    model_config: Mapping[str, Any],
    bands: Sequence[str],
    state_dict: Mapping[str, torch.Tensor],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint in our own format; the file appears whole or not at all.

    Args:
        path: The file to write, usually ending in `.pt`.
        model_config: Arguments of `segmentation_models_pytorch.create_model`, `arch` among them; plain values only.
        bands: Bands in the order of the network's input channels.
        state_dict: Weights by name; half-precision weights make a smaller file and are widened on loading.
        metadata: Plain values worth keeping, such as how the model was trained; `input` is what `read_input` gives.

    Raises:
        CheckpointError: If the band list does not fit the network, so that the file could not be read back.
    """
    config = checked_arguments(path, model_config)
    _check_bands(path, tuple(bands), config)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "config": {"model": config},
        "bands": list(bands),
        "state_dict": {name: weight.detach().cpu().contiguous() for name, weight in state_dict.items()},
        "metadata": {} if metadata is None else dict(metadata),
    }
    with atomic_file(Path(path)) as part:
        torch.save(content, part)


def read_bands(path: Path) -> tuple[str, ...]:
    """Return the bands that a model needs, in channel order, without reading its weights or building a network.

    Raises:
        CheckpointError: If the file is not a usable model.
    """
    return read_checkpoint(path).bands


def read_input(path: Path) -> Mapping[str, Any]:
    """Return what a file says of the input that its network was trained on, empty if nothing.

    Raises:
        CheckpointError: If the file is not a usable model.
    """
    return read_checkpoint(path).card.input or {}


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the content of a model file of any accepted layout; weights stay on disk until they are used.

    Raises:
        CheckpointError: If the file is missing, damaged, unsafe or incomplete; the message says which and what to do.
    """
    path = Path(path)
    opened = _open(path)
    checkpoint = _of_card(opened) if isinstance(opened, SafeFile) else _of_pickle(opened)
    _check_bands(path, checkpoint.bands, checkpoint.model_config)
    check_ranges(path, checkpoint.card.bands)
    return checkpoint


def _of_card(file: SafeFile) -> Checkpoint:
    """Return what a file with a card says."""
    if not file.stored:
        raise CheckpointError(f"{file.path} holds no weights. Copy it again.")
    config = checked_arguments(file.path, file.card.architecture)
    return Checkpoint(path=file.path, card=file.card, model_config=config, file=file, stored=file.stored)


def _of_pickle(container: Container) -> Checkpoint:
    """Return what a file of torch says, in whatever layout."""
    path = container.path
    content = _plain_dict(path, container.content, "the content")
    config, weights = _split(path, content)
    model_config = checked_arguments(path, _plain_dict(path, config.get("model"), "config.model"))
    bands = tuple(BandRange(name=name) for name in _bands_of(path, config, content))
    card = ModelCard(architecture=model_config, bands=bands, input=_input_of(content) or None)
    stored = _checked_weights(path, weights)
    return Checkpoint(path=path, card=card, model_config=model_config, file=container, stored=stored)


def model_id(path: Path) -> str:
    """Return the id of the model in a file, 64 hexadecimal digits; equal where equal images give equal results.

    It is the same for a model in any accepted layout and under any wrapper's names, see `models.identity`.

    Raises:
        CheckpointError: If the file is not a usable checkpoint or its weights do not fit its architecture.
    """
    checkpoint = read_checkpoint(path)
    return str(_identified(checkpoint, _fitting_weights(checkpoint)).model_id)


def read_model(path: Path) -> tuple[ModelCard, Weights]:
    """Return the card of a model, its id verified or computed, and its weights in the types that the file has.

    Raises:
        CheckpointError: If the file is not a usable model or its weights do not fit its architecture.
    """
    checkpoint = read_checkpoint(path)
    weights = _fitting_weights(checkpoint)
    return _identified(checkpoint, weights), weights


def load(path: Path) -> LoadedModel:
    """Return the network of a file, on the CPU in evaluation mode with float32 weights, and its card.

    Raises:
        CheckpointError: If the file is not a usable model, its weights do not fit its architecture, or are not those
            that its id was made of.
    """
    checkpoint = read_checkpoint(path)
    weights = _fitting_weights(checkpoint)
    card = _identified(checkpoint, weights)
    network = build(checkpoint.path, checkpoint.model_config)
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            weight.copy_(weights[name])
    network.eval().requires_grad_(requires_grad=False)
    check_output(checkpoint.path, network, checkpoint.model_config["in_channels"])
    return LoadedModel(network=network, card=card)


def load_model(path: Path) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the network of a checkpoint and its ordered bands, as `load` does.

    Raises:
        CheckpointError: If the file is not a usable checkpoint or its weights do not fit its architecture.
    """
    model = load(path)
    return model.network, model.bands


def _open(path: Path) -> Container | SafeFile:
    try:
        return SafeFile(path) if path.is_file() and is_safe_file(path) else open_container(path)
    except CheckpointError:
        raise
    except ContainerError as error:
        raise CheckpointError(f"{path} {error}") from error
    except UnknownObjectError as error:
        raise CheckpointError(_refusal(path, str(error))) from error
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no model file {path}. Check the path.") from error
    except OSError as error:
        raise CheckpointError(f"cannot read the model file {path}: {error.strerror}. Check the path.") from error
    except Exception as error:  # a damaged file makes readers raise almost anything
        raise CheckpointError(f"{path} is damaged or cut short and cannot be read. Copy it again.") from error


def _refusal(path: Path, name: str) -> str:
    """Return the line for a file that holds more than tensors and plain containers, and names something else."""
    return f"{path} holds the object {listed([name])} that could run code on loading and was refused. {_CONVERT}"


def _plain_dict(path: Path, value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        found = "missing" if value is None else f"a {type(value).__name__}"
        raise CheckpointError(f"{path} is not a DARTS checkpoint: {name} must be a dict but is {found}. {_CONVERT}")
    return dict(value)


def _split(path: Path, content: dict[str, Any]) -> tuple[dict[str, Any], object]:
    """Return the config and the weights of any accepted layout."""
    if content.get("format") == FORMAT and content.get("version") != VERSION:
        version = brief(content.get("version"))
        raise CheckpointError(f"{path} has the format version {version}, but {VERSION} is known. Update DARTS.")
    if "hyper_parameters" in content:
        parameters = _plain_dict(path, content["hyper_parameters"], "hyper_parameters")
        return _plain_dict(path, parameters.get("config"), "hyper_parameters.config"), content.get("state_dict")
    config = _plain_dict(path, content.get("config"), "config")
    return config, content.get("state_dict", content.get("statedict"))


def _bands_of(path: Path, config: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ordered bands from wherever a layout keeps them; a dict by band counts in its order."""
    parameters = content.get("hyper_parameters", {})
    for place in (content, config, parameters):
        for key in ("bands", "input_combination"):
            found = place.get(key)
            if found is not None and not isinstance(found, str):
                return _band_names(path, found)
    raise CheckpointError(f"{path} does not say which bands it needs (bands or input_combination). {_CONVERT}")


def _input_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a file says of the input, at its top or among what is worth keeping; anything else is passed over."""
    metadata = content.get("metadata")
    kept = metadata.get("input") if isinstance(metadata, dict) else None
    for found in (content.get("input"), kept):
        if isinstance(found, dict):
            return {str(key): value for key, value in found.items()}
    return {}


def _band_names(path: Path, found: object) -> tuple[str, ...]:
    names = tuple(found) if isinstance(found, (list, tuple, dict)) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise CheckpointError(
            f"{path} has the band list {brief(found)}, but a list of band names is needed. {_CONVERT}"
        )
    return names


def _check_bands(path: Path, bands: tuple[str, ...], model_config: Mapping[str, Any]) -> None:
    unknown = [name for name in bands if name not in manager]
    if unknown:
        raise CheckpointError(
            f"{path} needs the unknown bands {listed(unknown)}; known bands: {', '.join(manager)}."
            " Rename them in the checkpoint."
        )
    twice = sorted({name for name in bands if bands.count(name) > 1})
    if twice:
        raise CheckpointError(f"{path} lists the bands {listed(twice)} more than once. Write the checkpoint anew.")
    channels = model_config["in_channels"]
    if len(bands) != channels:
        raise CheckpointError(
            f"{path} lists {len(bands)} bands ({listed(bands, 40)}) but its network has {channels} input channels."
            " Write the checkpoint anew with the right list."
        )


def _checked_weights(path: Path, weights: object) -> dict[str, StoredTensor]:
    """Return the weights of a file as it names them."""
    named = _plain_dict(path, weights, "the state dict (state_dict or statedict)")
    if not named or not all(isinstance(weight, StoredTensor) for weight in named.values()):
        raise CheckpointError(f"{path} holds no weights, or some that are no plain tensors. {_CONVERT}")
    return named


def _fitting_weights(checkpoint: Checkpoint) -> Weights:
    """Return the weights by the network's own names; that they fit is known before one of them is read."""
    wanted = outline(checkpoint.path, checkpoint.model_config)
    stored = by_own_names(checkpoint.path, checkpoint.stored, wanted)
    network = f"{checkpoint.model_config['arch']} with {checkpoint.model_config['encoder_name']}"
    return read_weights(network, checkpoint.file, stored, wanted)


def _identified(checkpoint: Checkpoint, weights: Weights) -> ModelCard:
    """Return the card with the id of the model.

    Raises:
        CheckpointError: If the file says another id, because it was damaged or changed.
    """
    card = checkpoint.card
    found = card_id(replace(card, input=None) if card.model_id is None else card, weights)
    if card.model_id not in (None, found):
        raise CheckpointError(
            f"{checkpoint.path} is not what was written: its weights and card have the id {found[:12]}, but it says"
            f" {brief(card.model_id)[:14]}. Copy it again."
        )
    return replace(card, model_id=found)
