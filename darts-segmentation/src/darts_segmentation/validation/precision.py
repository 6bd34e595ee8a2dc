"""Networks in other numbers than a device's own."""

import torch
from torch import nn

PRECISIONS = ("float32", "bfloat16", "float16")


class _InPrecision(nn.Module):
    """A network that computes in numbers of its own, whatever those around it do."""

    def __init__(self, network: nn.Module, device_type: str, precision: str) -> None:
        super().__init__()
        self.network = network
        self._device_type = device_type
        self._precision = precision

    @property
    def encoder(self) -> object:
        """The encoder of the network, which tells of which pixels edges of patches must be multiples."""
        return getattr(self.network, "encoder", None)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of patches, float32; of one with an auxiliary head the first output."""
        is_plain = self._precision == "float32"
        dtype = None if is_plain else getattr(torch, self._precision)
        with torch.autocast(self._device_type, dtype=dtype, enabled=not is_plain, cache_enabled=False):
            output = self.network(patches)
        logits: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return logits.float()


def in_precision(network: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """Return a network that computes in float32, or by autocast in bfloat16 or float16."""
    return _InPrecision(network, device.type, precision).eval()
