"""An augmentation that takes away what a tile may lack: the terrain or the trends, everywhere or in a part."""

from dataclasses import dataclass

from darts_segmentation.training.augment.samples import Draws, Samples


@dataclass(frozen=True, kw_only=True)
class DropLayer:
    """Sets all terrain bands, or all trends, to 0: in a whole patch, or in a rectangle.

    Elevation models have holes, and some places have no trends. A network that has never seen that takes a hole for a
    plain, or for something that it has never seen. Labels stay: the optical bands are still there.
    """

    probability: float = 0.1
    whole: float = 0.5
    """Share of holes that are as large as the patch."""
    smallest: float = 0.2
    """Shortest edge of a rectangle, as a share of the patch's."""

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the patches with their holes; those of bands that have neither terrain nor trends as they are."""
        layers = [channels for channels in (samples.bands.terrain, samples.bands.trends) if channels]
        chosen = draws.integers(2, len(samples))
        everywhere = (draws.uniform_on_host(0, 1, len(samples)) < self.whole).tolist()
        boxes = draws.uniform_on_host(0, 1, len(samples), 4).tolist()
        for index in range(len(samples) if layers else 0):
            rows, columns = (slice(None), slice(None)) if everywhere[index] else self._box(samples, boxes[index])
            samples.x[index, list(layers[chosen[index] % len(layers)]), rows, columns] = 0
        return samples

    def _box(self, samples: Samples, drawn: list[float]) -> tuple[slice, slice]:
        height, width = samples.y.shape[-2:]
        return self._span(height, drawn[0], drawn[1]), self._span(width, drawn[2], drawn[3])

    def _span(self, length: int, extent: float, place: float) -> slice:
        size = max(1, round(length * (self.smallest + (1 - self.smallest) * extent)))
        start = round(place * (length - size))
        return slice(start, start + size)
