"""`EnsembleV1`: the mean of several networks over a tile."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from darts_segmentation.inference import Rule, predict
from darts_segmentation.models.checkpoint import load
from darts_segmentation.models.ensemble_card import EnsembleCard, find_ensemble_card, named_ensemble_card
from darts_segmentation.network import Member, place
from darts_segmentation.patches import Patching
from darts_segmentation.precision import usual_precision
from darts_utils.errors import ConfigError
from darts_utils.machine.devices import DeviceSpec, decide_device
from darts_utils.parameters import Dtype, Precision, Tta, check_tta, check_uncertainty, precision_named
from darts_utils.rasters.arrays import Array

_ATTRS: dict[str, str | float] = {
    "long_name": "Probability of a retrogressive thaw slump",
    "units": "1",
    "valid_min": 0.0,
    "valid_max": 1.0,
}

_UNCERTAINTY_ATTRS: dict[str, str | float] = {
    "long_name": "Standard deviation of the probabilities of all models and views",
    "units": "1",
    "valid_min": 0.0,
    "valid_max": 0.5,
}


class EnsembleV1:
    """Several networks whose probabilities are averaged; each sees its own bands in its own order.

    Logits are divided by the temperature of each model. If an ensemble card of exactly these models lies beside one of
    them, the logit of their mean is divided by that of the card.

    Args:
        model_dict: Checkpoints by the name that their results get.
        device: Where the networks run, see `darts_utils.machine.devices`. On the CPU they are up to twice as fast in a
            process that has called `darts_utils.machine.memory.keep_freed`, as pipelines do.
        precision: What the networks compute in: float32, bfloat16 (with the first convolution and the head in float32)
            or float16. None is float32 on the CPU and float16 on a GPU. See `docs/science/precision.md` for what each
            changes.
        ensemble_card: The ensemble card of the models; if not given, one that lies beside them is taken.

    Raises:
        ConfigError: If there is no model, no such device, or no such precision.
        CheckpointError: If a checkpoint or an ensemble card cannot be used.
    """

    def __init__(
        self,
        model_dict: Mapping[str, Path | str],
        device: DeviceSpec | torch.device = None,
        *,
        precision: Precision | Dtype | None = None,
        ensemble_card: Path | None = None,
    ) -> None:
        if not model_dict:
            raise ConfigError("an ensemble needs at least one model but got none. Give the path of a checkpoint.")
        self.device = decide_device(device)
        self.precision = _precision(precision, self.device)
        self.members = tuple(load_member(name, Path(path), self.device) for name, path in model_dict.items())
        folders = [Path(path).parent for path in model_dict.values()]
        ids = [member.model_id for member in self.members]
        self.card: EnsembleCard | None = None
        if ensemble_card is not None:
            self.card = named_ensemble_card(ensemble_card, ids)
        elif len(ids) > 1:
            self.card = find_ensemble_card(folders, ids)

    @property
    def is_calibrated(self) -> bool:
        """Whether its probabilities are: those of one calibrated network, or of a mean with an ensemble card."""
        alone = self.members[0].card if len(self.members) == 1 else None
        return self.card is not None or (alone is not None and alone.is_calibrated)

    @property
    def thresholds(self) -> Mapping[str, Any]:
        """Thresholds of objects, `low medium high`, of what calibrates its probabilities; empty where nothing does."""
        if self.card is not None:
            return self.card.thresholds
        return (self.members[0].card.thresholds or {}) if self.is_calibrated and self.members[0].card else {}

    @property
    def model_names(self) -> list[str]:
        """Names of the networks, in the order given."""
        return [member.name for member in self.members]

    @property
    def model_ids(self) -> dict[str, str]:
        """Ids of the networks by their names, see `darts_segmentation.models.checkpoint.model_id`."""
        return {member.name: member.model_id for member in self.members}

    @property
    def model_bands(self) -> dict[str, tuple[str, ...]]:
        """Input channels of each network by its name, in order."""
        return {member.name: member.bands for member in self.members}

    @property
    def required_bands(self) -> set[str]:
        """Bands that at least one of the networks needs."""
        return {band for member in self.members for band in member.bands}

    def segment_tile(  # noqa: PLR0917  (the public signature)
        self,
        tile: xr.Dataset,
        patch_size: int = Patching.patch_size,
        overlap: int = Patching.overlap,
        batch_size: int = Patching.batch_size,
        reflection: int = Patching.reflection,
        keep_inputs: bool = False,
        *,
        tta: Tta = "none",
        uncertainty: bool = False,
        nobody_asks: Rule | None = None,
        skip_water: bool = False,
    ) -> xr.Dataset:
        """Return the tile with `probabilities`, the mean of all networks.

        Args:
            tile: A preprocessed tile with all `required_bands`, in memory representation.
            patch_size: Edge length of a patch in pixels; rounded up to what the networks accept.
            overlap: Pixels that neighbouring patches share at least.
            batch_size: Patches that go through the networks at once; the result does not depend on it.
            reflection: Pixels by which the tile is mirrored at its edges before it is cut.
            keep_inputs: Whether `probabilities-{model}` is added for each network.
            tta: Test-time augmentation: how many views of a patch each network sees (none 1, minimal 2, standard 4,
                full 8). The probability of a network is that of the mean of their logits. Aspect turns with a view, and
                hillshade is made anew with the attributes `azimuth` and `elevation` of the tile.
            uncertainty: Whether `uncertainty` is added, the standard deviation of the probabilities of all networks
                and views.
            nobody_asks: Tells whether nobody will look at some rows and columns: patches there are not computed.
            skip_water: Whether patches wholly of water are not computed and add a probability of 0: those of which
                `s2_scl` calls every valid pixel water. A tile without it is computed as ever.

        Returns:
            A new tile; the added bands are float32 from 0 to 1, NaN where `quality_data_mask` is 0, an optical band is
            missing, or nobody asks.

        Raises:
            ConfigError: If a patch parameter is illegal or does not go with another one, there are no such views, or
                one network and one view have no spread.
            DataError: If the tile lacks a band, or a network gives no finite probability for a valid pixel; the message
                names the model.
        """
        patching = Patching(patch_size=patch_size, overlap=overlap, batch_size=batch_size, reflection=reflection)
        check_tta(tta)
        if uncertainty:
            check_uncertainty(tta, len(self.members))
        prediction = predict(
            tile,
            self.members,
            patching,
            self.device,
            keep_members=keep_inputs,
            tta=tta,
            uncertainty=uncertainty,
            temperature=1.0 if self.card is None else self.card.temperature,
            precision=self.precision,
            nobody_asks=nobody_asks,
            skip_water=skip_water,
        )
        added = {"probabilities": _band(prediction.mean, _ATTRS)}
        if prediction.uncertainty is not None:
            added["uncertainty"] = _band(prediction.uncertainty, _UNCERTAINTY_ATTRS)
        for name, values in prediction.members.items():
            added[f"probabilities-{name}"] = _band(values, {**_ATTRS, "model": name})
        return tile.assign(added)


def _precision(given: Precision | Dtype | None, device: torch.device) -> Precision:
    if given is None:
        return usual_precision(device)
    return given if isinstance(given, Precision) else precision_named(given)


def load_member(name: str, path: Path, device: torch.device) -> Member:
    """Return the network of a checkpoint, placed on a device."""
    loaded = load(path)
    network = place(loaded.network, device)
    card = loaded.card
    return Member(
        name=name,
        model=network,
        bands=card.band_names,
        model_id=loaded.model_id,
        temperature=card.temperature,
        card=card,
    )


def _band(values: Array, attrs: dict[str, str | float]) -> xr.Variable:
    return xr.Variable(("y", "x"), values, attrs)
