"""Which labels go with which PlanetScope images of an archive."""

from pathlib import Path

from darts.datasets.build.images import Finder, LabelledImages
from darts.datasets.build.layers import Layer
from darts.datasets.build.matching import match
from darts.datasets.build.samples import Collection, Collector, Sample


class PlanetCollector(Collector):
    """Takes the images of an archive whose ids footprints name.

    Args:
        data_dir: The archive.
        finder: How it is laid out.
    """

    def __init__(self, data_dir: Path, finder: Finder) -> None:
        self._images = LabelledImages(data_dir, finder)

    def collect(self, labels: Layer, footprints: Layer) -> Collection:
        """Return a sample for each image that has a footprint."""
        refs = {ref.tile_id: ref for ref in self._images.find()}
        matched = match(labels, footprints, refs)
        samples = {
            refs[image.image_id]: [
                Sample(sample_id=image.image_id, image=image, metadata={"planet_id": image.image_id})
            ]
            for image in matched.images
        }
        return Collection(
            source=self._images,
            matched=matched,
            samples=samples,
            tally=[("images on disk without a footprint", len(refs) - len(samples))],
        )
