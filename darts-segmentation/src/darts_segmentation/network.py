"""Networks on a device: one batch of patches in, their probabilities out."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce

import torch
from torch import nn

from darts_segmentation.model_input import OPTICAL_BANDS
from darts_segmentation.model_units import picked
from darts_segmentation.models.card import ModelCard
from darts_segmentation.precision import computing_in, prepare_exact_parts, usual_precision
from darts_segmentation.symmetry import VIEWS, View
from darts_utils.errors import ConfigError, DataError, with_kind
from darts_utils.parameters import FLOAT32, Precision

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network of an ensemble."""

    name: str
    """How it is called in results and messages."""
    model: nn.Module
    """(n, band, y, x) float32 from 0 to 1 to (n, 1, y, x) logits; in evaluation mode."""
    bands: tuple[str, ...]
    """Its input channels in order."""
    model_id: str = ""
    """See `darts_segmentation.models.checkpoint.model_id`; empty for a network that is of no file."""
    temperature: float = 1.0
    """What its logits are divided by before the sigmoid."""
    card: ModelCard | None = None
    """What is known of it; None for a network that is of no file."""

    @property
    def optical(self) -> frozenset[str]:
        """The optical bands among its bands; where one of them is NaN, it has nothing to say."""
        return OPTICAL_BANDS & frozenset(self.bands)

    @property
    def multiple(self) -> int:
        """Pixels of which a patch's edge must be a multiple."""
        return int(getattr(getattr(self.model, "encoder", None), "output_stride", 1))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Patches on their way through the networks."""

    inputs: torch.Tensor
    """(n, band, y, x) float32 model representation of the union of all bands, on the host; channels last in memory,
    0 where no network sees anything."""
    valid: Mapping[frozenset[str], torch.Tensor]
    """(n, y, x) bool for each set of optical bands, on the host; empty where all networks see the same pixels."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """Probabilities that the device may still be working on."""

    probabilities: torch.Tensor
    """(output, n, y, x) float32 on the host, complete once `done` has passed."""
    done: torch.cuda.Event | None = None
    exactly: Callable[[], torch.Tensor] | None = None
    """Computes them again in float32; None if they are in float32."""

    def wait(self) -> torch.Tensor:
        """Return the probabilities as soon as they are complete; in float32 if others overflowed."""
        if self.done is not None:
            self.done.synchronize()
        if self.exactly is None or bool(torch.isfinite(self.probabilities).all()):
            return self.probabilities
        return self.exactly()


class NetworkGroup:
    """The members of an ensemble on one device, fed from the union of their bands.

    Args:
        members: The networks.
        bands: The union of their bands, in the order of a batch's channels.
        device: Where they run.
        keep_members: Whether each member's probabilities are returned, last.
        views: What each member sees of a patch; its probability is that of the mean of their logits.
        sun_deg: Azimuth clockwise from true north, and elevation above the horizon; NaN where unknown.
        with_variance: Whether the variance of the probabilities of all members and views is returned, after the mean.
        temperature: What the logits of the mean of several members are divided by, see `calibrated`.
        precision: What they compute in, `usual_precision` if None.
        guarded: Whether a batch in which numbers overflow is computed again in float32.
    """

    def __init__(
        self,
        members: Sequence[Member],
        bands: Sequence[str],
        device: torch.device,
        *,
        keep_members: bool,
        views: Sequence[View] = VIEWS[:1],
        sun_deg: tuple[float, float] = (math.nan, math.nan),
        with_variance: bool = False,
        temperature: float = 1.0,
        precision: Precision | None = None,
        guarded: bool = True,
    ) -> None:
        self._members = members
        self._channels = [picked([bands.index(band) for band in member.bands]) for member in members]
        self._device = device
        self._keep_members = keep_members
        self._views = views
        self._sun = torch.tensor([sun_deg], dtype=torch.float32, device=device)
        self._with_variance = with_variance
        self._temperature = temperature
        self._precision = usual_precision(device) if precision is None else precision
        if self._precision.exact != "nothing":
            for member in members:
                prepare_exact_parts(member.model, device)
        self._guarded = guarded and self._precision.dtype != "float32"
        self._largest: int | None = None  # batch size that fits, once a larger one did not

    def launch(self, batch: Batch) -> Running:
        """Start the networks on a batch; on CUDA this returns before they are done."""
        outputs = self._fitting(batch, self._precision)
        running = Running(
            probabilities=outputs,
            exactly=partial(self._exactly, batch) if self._guarded else None,
        )
        if self._device.type != "cuda":
            return Running(probabilities=running.wait())  # at once, for the batch is soon overwritten
        on_host = outputs.to("cpu", non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch gives no types for it
        done.record(torch.cuda.current_stream(self._device))
        return replace(running, probabilities=on_host, done=done)

    def _exactly(self, batch: Batch) -> torch.Tensor:
        """Return the probabilities of a batch on the host, computed in float32."""
        logger.debug("%d patches overflow in %s: computed again in float32", len(batch.inputs), self._precision)
        return self._fitting(batch, FLOAT32).cpu()

    def _fitting(self, batch: Batch, precision: Precision) -> torch.Tensor:
        """Return the probabilities of a batch, in as many parts as the memory of the device asks for."""
        size = len(batch.inputs)
        limit = size if self._largest is None else min(size, self._largest)
        try:
            parts = [self._outputs(_part(batch, start, limit), precision) for start in range(0, size, limit)]
            return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        except torch.cuda.OutOfMemoryError as error:
            self._shrink(limit, error)
        # outside of the handler, whose traceback would keep the failed batch's tensors alive
        torch.cuda.empty_cache()
        return self._fitting(batch, precision)

    def _shrink(self, limit: int, error: torch.cuda.OutOfMemoryError) -> None:
        if limit == 1:
            raise ConfigError(
                f"one patch does not fit into the memory of {self._device}. Lower patch_size or use device cpu."
            ) from error
        if self._largest is None:
            logger.warning("%s has too little memory for %d patches at once; fewer are used", self._device, limit)
        self._largest = limit // 2

    @torch.inference_mode()
    def _outputs(self, batch: Batch, precision: Precision) -> torch.Tensor:
        """Return (output, n, y, x) float32 on the device: the mean, the variance if wanted, the members if kept."""
        inputs = batch.inputs.to(self._device, non_blocking=True)
        valid = {key: mask.to(self._device, non_blocking=True) for key, mask in batch.valid.items()}
        variance = Variance() if self._with_variance else None
        each = self._of_each_member(inputs, valid, variance)
        with computing_in(precision, self._device):
            mean = next(each)
            kept = [mean.clone()] if self._keep_members else []
            for probabilities in each:
                mean += probabilities
                if self._keep_members:
                    kept.append(probabilities)
        if len(self._members) > 1:
            mean /= len(self._members)
            mean = calibrated(mean, self._temperature)
        outputs = [mean, *([] if variance is None else [variance.value]), *kept]
        return torch.stack(outputs) if len(outputs) > 1 else mean[None]

    def _of_each_member(
        self, inputs: torch.Tensor, valid: Mapping[frozenset[str], torch.Tensor], variance: "Variance | None"
    ) -> Iterator[torch.Tensor]:
        """Yield what each member makes of its channels, 0 where it does not see what it needs."""
        for member, channels in zip(self._members, self._channels, strict=True):
            chosen = inputs[:, channels]
            if valid:
                chosen = chosen * valid[member.optical][:, None]
            yield self._of_all_views(member, chosen, variance)

    def _of_all_views(self, member: Member, inputs: torch.Tensor, variance: "Variance | None") -> torch.Tensor:
        """Return (n, y, x) float32 from 0 to 1, of the mean of the views' logits; each view's go into the variance."""
        total = reduce(torch.add, self._of_each_view(member, inputs, variance))
        return _probabilities(total if len(self._views) == 1 else total / len(self._views))

    def _of_each_view(
        self, member: Member, inputs: torch.Tensor, variance: "Variance | None"
    ) -> Iterator[torch.Tensor]:
        """Yield the logits of each view, turned back."""
        sun = self._sun.expand(len(inputs), -1)
        for view in self._views:
            logits = view.undo(self._logits(member, view.apply(inputs, member.bands, sun)))
            if variance is not None:
                variance.add(_probabilities(logits))
            yield logits

    def _logits(self, member: Member, inputs: torch.Tensor) -> torch.Tensor:
        """Return (n, y, x) float32, divided by the temperature of the member."""
        try:
            output = member.model(inputs.contiguous(memory_format=torch.channels_last))
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # networks raise all kinds for a size that they were not made for
            raise DataError(
                f"the model {member.name} cannot work on patches of {inputs.shape[-2]} x {inputs.shape[-1]} pixels"
                f" ({with_kind(error, 200)}). Change patch_size, or leave it out."
            ) from error
        # a network with an auxiliary head gives two
        logits = (output[0] if isinstance(output, tuple) else output)[:, 0].float()
        scaled: torch.Tensor = logits if member.temperature == 1 else logits / member.temperature
        return scaled


def calibrated(probabilities: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return probabilities whose logits were divided by a temperature.

    Method: temperature scaling, Guo et al. (2017), https://proceedings.mlr.press/v70/guo17a.html.
    """
    return probabilities if temperature == 1 else torch.sigmoid(torch.logit(probabilities) / temperature)


class Variance:
    """The variance of values that come one after another, without keeping them; Welford (1962), doi:10.2307/1266577."""

    def __init__(self) -> None:
        self._n = 0
        self._mean = torch.empty(0)
        self._squares = torch.empty(0)

    def add(self, values: torch.Tensor) -> None:
        """Count values in, float32 of the same shape each time."""
        self._n += 1
        if self._n == 1:
            self._mean, self._squares = values.clone(), torch.zeros_like(values)
            return
        from_mean = values - self._mean
        self._mean += from_mean / self._n
        self._squares += from_mean.mul_(values - self._mean)

    @property
    def value(self) -> torch.Tensor:
        """The mean squared distance from the mean, 0 or above; NaN where a value was."""
        return (self._squares / self._n).clamp_min_(0)


def _probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Return probabilities from 0 to 1; NaN where the network's numbers have overflowed."""
    return torch.sigmoid(logits).add_(logits, alpha=0)  # 0 times infinity is NaN; its sigmoid would be 0 or 1


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a network on a device, in evaluation mode, its weights laid out channels last."""
    model = model.to(device)
    model.to(memory_format=torch.channels_last)
    return model.eval()


def _part(batch: Batch, start: int, size: int) -> Batch:
    part = slice(start, start + size)
    return Batch(inputs=batch.inputs[part], valid={key: mask[part] for key, mask in batch.valid.items()})
