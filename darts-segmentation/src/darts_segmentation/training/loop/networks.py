"""New networks to be trained: made from what a user asks for, in words that a user understands."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import nn

from darts_segmentation.models.architecture import checked_arguments
from darts_segmentation.models.library import segmentation_models
from darts_segmentation.training.parameters import HyperParameters
from darts_utils.errors import CheckpointError, ConfigError, ServiceError, one_line

_OF_ALL = {"arch", "encoder_name", "in_channels", "classes"}
"""Arguments that every architecture takes."""


def architecture_of(parameters: HyperParameters, n_bands: int) -> dict[str, Any]:
    """Return the arguments of `segmentation_models_pytorch.create_model` for a network.

    Raises:
        ConfigError: If there is no such architecture or encoder.
    """
    smp = segmentation_models()
    import timm

    known = smp.MODEL_ARCHITECTURES_MAPPING
    if parameters.model_arch.lower() not in known:
        raise ConfigError(f"model_arch is {parameters.model_arch!r}, but known ones are {', '.join(known)}.")
    encoder = parameters.model_encoder
    of_timm = encoder.removeprefix("tu-")
    if encoder not in smp.encoders.encoders and not (encoder.startswith("tu-") and timm.is_model(of_timm)):
        names = [*smp.encoders.encoders, *(f"tu-{name}" for name in timm.list_models())]
        near = get_close_matches(encoder, names, 4, 0.5)
        hint = f" Near it: {', '.join(near)}." if near else ""
        raise ConfigError(
            f"model_encoder is {encoder!r}, which neither segmentation-models-pytorch nor timm (tu-...) has.{hint}"
        )
    given = {"arch": parameters.model_arch, "encoder_name": encoder, "in_channels": n_bands, "classes": 1}
    if parameters.encoder_depth != HyperParameters.encoder_depth:
        given["encoder_depth"] = parameters.encoder_depth
    if parameters.decoder_channels is not None:
        given["decoder_channels"] = list(parameters.decoder_channels)
    if parameters.decoder_interpolation is not None:
        given["decoder_interpolation"] = parameters.decoder_interpolation
    try:
        return checked_arguments(Path(encoder), given)
    except CheckpointError as error:
        raise ConfigError(
            f"{parameters.model_arch} has no use for all of {', '.join(sorted(set(given) - _OF_ALL))}. Leave out some."
        ) from error


def new_network(parameters: HyperParameters, architecture: dict[str, Any], patch_size: int) -> nn.Module:
    """Return a network, with pretrained weights of its encoder if they are asked for.

    Raises:
        ConfigError: If it cannot be made, or cannot work on patches of this size.
        ServiceError: If pretrained weights cannot be fetched.
    """
    smp = segmentation_models()

    given = {**architecture, "encoder_weights": parameters.model_encoder_weights}
    what = f"{parameters.model_arch} with {parameters.model_encoder}"
    try:
        network: nn.Module = smp.create_model(**given)
    except OSError as error:
        raise ServiceError(
            f"the pretrained weights {parameters.model_encoder_weights} of {parameters.model_encoder} cannot be fetched"
            f" ({one_line(error, 120)}). Leave --model-encoder-weights out, or go online."
        ) from error
    except Exception as error:  # SMP and timm raise all kinds for a combination that they do not have
        reason = one_line(error, 200)
        raise ConfigError(f"{what} cannot be made ({reason}). Choose another encoder or architecture.") from error
    _check_size(network, what, patch_size)
    return network


def _check_size(network: nn.Module, what: str, patch_size: int) -> None:
    multiple = int(getattr(getattr(network, "encoder", None), "output_stride", 1))
    if patch_size % multiple:
        raise ConfigError(
            f"the patches are {patch_size} px wide, but {what} needs a multiple of {multiple}. Make the training set "
            f"with --patch-size {-(-patch_size // multiple) * multiple}, or choose another network."
        )
