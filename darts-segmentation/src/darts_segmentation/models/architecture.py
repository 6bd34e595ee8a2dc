"""Networks of segmentation-models-pytorch, built from arguments that a stranger's file gives."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from darts_segmentation.models.library import segmentation_models
from darts_segmentation.models.wording import brief, listed
from darts_utils.errors import CheckpointError, with_kind

_MOST_VALUES = 1000
"""Values that the arguments of a network have at most, counted with those inside of lists."""
_LARGEST_NUMBER = 2**31
_ACTIVATIONS = (None, "sigmoid", "identity")


def checked_arguments(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a network, refusing those that could read or fetch anything but what the file holds.

    Args:
        path: The file, for messages.
        config: What it says, `arch` among it.

    Returns:
        Plain values, with `encoder_name`, `in_channels`, `classes`, `activation` and `encoder_weights` among them.
        The last two are None, whatever the file says: the sigmoid is applied outside of the network, once, in float32,
        and pretrained weights are never fetched.

    Raises:
        CheckpointError: If an argument is unknown or illegal.
    """
    smp = segmentation_models()

    architectures = smp.MODEL_ARCHITECTURES_MAPPING
    arch = config.get("arch")
    if not isinstance(arch, str) or arch.lower() not in architectures:
        raise CheckpointError(
            f"{path} has the unknown architecture {brief(arch)}; known: {', '.join(architectures)}."
            " Update segmentation-models-pytorch if it is a newer one."
        )
    arguments = {"encoder_name": "resnet34", "in_channels": 3, "classes": 1, **config, "arch": arch.lower()}
    if "decoder_use_batchnorm" in arguments:  # what SMP called it before 0.5
        arguments["decoder_use_norm"] = arguments.pop("decoder_use_batchnorm")
    legal = {"arch", *inspect.signature(architectures[arch.lower()].__init__).parameters} - {"self", "kwargs"}
    strange = sorted(set(arguments) - legal)
    if strange:
        raise CheckpointError(f"{path} has unknown arguments for {arch}: {listed(strange)}. Write it anew without.")
    _check_values(path, arguments)
    return {**arguments, "activation": None, "encoder_weights": None}


def _check_values(path: Path, arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        if not _is_plain(value):
            raise CheckpointError(
                f"{path} has the argument {name} = {brief(value)}, but only plain values of sensible size are accepted."
            )
    encoder, channels, classes = (arguments[name] for name in ("encoder_name", "in_channels", "classes"))
    if not isinstance(encoder, str) or re.search(r"[:/\\]", encoder):  # timm would fetch "hf-hub:..." or open a path
        raise CheckpointError(
            f"{path} has the encoder {brief(encoder)}, but only the name of a known encoder is accepted."
        )
    if type(classes) is not int or classes != 1:
        raise CheckpointError(f"{path} predicts {brief(classes)} classes, but 1 (slump or not) is needed.")
    if type(channels) is not int or channels < 1:
        raise CheckpointError(f"{path} has {brief(channels)} input channels, but a whole number of bands is needed.")
    if arguments.get("activation") not in _ACTIVATIONS:
        activation = brief(arguments["activation"])
        raise CheckpointError(f"{path} has the activation {activation}, but only sigmoid or none is known.")


def _is_plain(value: object) -> bool:
    """Return whether a value has a form in JSON and ends; one list inside of many others may stand for billions."""
    waiting = [value]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return True
        item = waiting.pop()
        if isinstance(item, dict) and all(isinstance(key, str) for key in item):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item[:_MOST_VALUES])
        elif isinstance(item, (int, float)):
            if not abs(item) <= _LARGEST_NUMBER:  # nor is NaN
                return False
        elif item is not None and not isinstance(item, str):
            return False
    return not waiting


def build(path: Path, arguments: Mapping[str, Any]) -> nn.Module:
    """Return a network whose weights are still to be filled in.

    Args:
        path: The file that describes it, for messages.
        arguments: See `checked_arguments`.

    Raises:
        CheckpointError: If there is no such network.
    """
    smp = segmentation_models()

    try:
        with _NothingDrawn():
            network: nn.Module = smp.create_model(**arguments)
    except Exception as error:  # SMP and timm raise all kinds for an argument they reject
        raise _unbuildable(path, with_kind(error, 300)) from error
    return network


def outline(path: Path, arguments: Mapping[str, Any]) -> Mapping[str, torch.Tensor]:
    """Return the weights that a network has, by its own names: names, shapes and types only, without any memory.

    A network of any size can be described in a few bytes; this costs nothing before the file is known to hold it.

    Args:
        path: The file that describes it, for messages.
        arguments: See `checked_arguments`.

    Raises:
        CheckpointError: If there is no such network.
    """
    with torch.device("meta"):
        return build(path, arguments).state_dict()


def check_output(path: Path, network: nn.Module, n_bands: int) -> None:
    """Try a network on a little of nothing.

    Args:
        path: The file that describes it, for messages.
        network: In evaluation mode.
        n_bands: How many bands it takes.

    Raises:
        CheckpointError: If its output has another size than its input, because of an `upsampling` that is none.
    """
    edge = 2 * max(32, int(getattr(getattr(network, "encoder", None), "output_stride", 1)))
    try:
        with torch.inference_mode():
            output = network(torch.zeros(1, n_bands, edge, edge))
    except Exception:  # noqa: BLE001 # networks of one fixed size, which tell it when they see an image
        return
    shape = tuple((output[0] if isinstance(output, tuple) else output).shape)
    if shape != (1, 1, edge, edge):
        raise _unbuildable(path, f"it makes {shape} of (1, {n_bands}, {edge}, {edge}), but one value a pixel is needed")


_DRAWN = frozenset({
    nn.init.normal_, nn.init.trunc_normal_, nn.init.uniform_, torch.Tensor.normal_, torch.Tensor.uniform_,
})  # fmt: skip
"""What draws random numbers. For networks without memory PyTorch loads its compiler to do so, which takes seconds."""


class _NothingDrawn(TorchFunctionMode):
    """Leaves weights unfilled, and keeps `torch.linspace` on the CPU: some encoders read it as they are built."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func in _DRAWN:
            return args[0] if args else next(iter(given.values()))
        return func(*args, **({**given, "device": "cpu"} if func is torch.linspace else given))


def _unbuildable(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} describes a network that cannot be built ({reason})."
        " Check its arguments, or the version of segmentation-models-pytorch."
    )
