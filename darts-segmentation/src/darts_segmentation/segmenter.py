"""`SMPSegmenter`: one network over a tile."""

from pathlib import Path

import torch
import xarray as xr

from darts_segmentation.ensemble import EnsembleV1
from darts_segmentation.patches import Patching
from darts_utils.machine.devices import DeviceSpec
from darts_utils.parameters import Dtype, Precision, Tta


class SMPSegmenter:
    """One network of segmentation-models-pytorch, read from a checkpoint: an ensemble of one.

    Args:
        model_checkpoint: The checkpoint; its file stem names the network in messages.
        device: Where it runs, see `darts_utils.machine.devices`.
        precision: What it computes in, see `EnsembleV1`.

    Raises:
        ConfigError: If there is no such device, or no such precision.
        CheckpointError: If the checkpoint cannot be used.
    """

    def __init__(
        self,
        model_checkpoint: Path | str,
        device: DeviceSpec | torch.device = None,
        *,
        precision: Precision | Dtype | None = None,
    ) -> None:
        path = Path(model_checkpoint)
        self._ensemble = EnsembleV1({path.stem: path}, device=device, precision=precision)

    @property
    def bands(self) -> tuple[str, ...]:
        """Input channels of the network, in order."""
        return self._ensemble.members[0].bands

    @property
    def model_id(self) -> str:
        """Id of the model, see `darts_segmentation.models.checkpoint.model_id`."""
        return self._ensemble.members[0].model_id

    @property
    def required_bands(self) -> set[str]:
        """Bands that a tile must have."""
        return self._ensemble.required_bands

    def segment_tile(
        self,
        tile: xr.Dataset,
        patch_size: int = Patching.patch_size,
        overlap: int = Patching.overlap,
        batch_size: int = Patching.batch_size,
        reflection: int = Patching.reflection,
        *,
        tta: Tta = "none",
        uncertainty: bool = False,
    ) -> xr.Dataset:
        """Return the tile with `probabilities`; see `EnsembleV1.segment_tile`.

        Args:
            tile: A preprocessed tile with all `required_bands`, in memory representation.
            patch_size: Edge length of a patch in pixels; rounded up to what the network accepts.
            overlap: Pixels that neighbouring patches share at least.
            batch_size: Patches that go through the network at once; the result does not depend on it.
            reflection: Pixels by which the tile is mirrored at its edges before it is cut.
            tta: How many views of a patch the network sees.
            uncertainty: Whether `uncertainty` is added, the standard deviation of the views' probabilities.

        Returns:
            A new tile; `probabilities` is float32 from 0 to 1, NaN on invalid pixels.
        """
        return self._ensemble.segment_tile(
            tile,
            patch_size=patch_size,
            overlap=overlap,
            batch_size=batch_size,
            reflection=reflection,
            tta=tta,
            uncertainty=uncertainty,
        )
