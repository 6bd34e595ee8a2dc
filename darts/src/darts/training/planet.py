"""Training data of PlanetScope images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from cyclopts import Parameter

from darts.pipelines.tiles import MosaicResolution, RunReport
from darts.training.dataset import TrainingData, as_function
from darts.training.images import LabelledImages, anywhere_below, in_archive
from darts.training.parameters import TrainingImageParameters
from darts.training.samples import Collection, Sample

if TYPE_CHECKING:
    from darts.training.layers import Layer


@dataclass(frozen=True, kw_only=True)
class _OfPlanetImages(TrainingImageParameters, TrainingData):
    """What both layouts of archives share."""

    resolution_m: ClassVar[MosaicResolution] = 2

    def find(self) -> LabelledImages:
        """Return the archive, not looked into yet."""
        raise NotImplementedError

    def collect(self, labels: "Layer", footprints: "Layer") -> Collection:
        """Return a sample for each image that has a footprint.

        Args:
            labels: The label layers.
            footprints: The footprint layers.
        """
        from darts.training.join import join

        source = self.find()
        refs = {ref.tile_id: ref for ref in source.find()}
        joined = join(labels, footprints, refs)
        samples = {
            refs[image.image_id]: [
                Sample(sample_id=image.image_id, digitised=image, metadata={"planet_id": image.image_id})
            ]
            for image in joined.images
        }
        return Collection(
            source=source,
            joined=joined,
            samples=samples,
            account=[("images on disk without a footprint", len(refs) - len(samples))],
        )


@dataclass(frozen=True, kw_only=True)
class PlanetTrainingData(_OfPlanetImages):
    """Makes training data of PlanetScope images and the slumps digitised on them.

    Images lie in `{data_dir}/{image}`, `{data_dir}/{tile}/{image}` or `{data_dir}/{iteration}/{site}/{image}`.
    """

    name: ClassVar[str] = "planet"
    function_name: ClassVar[str] = "preprocess_planet_train_data"

    def find(self) -> LabelledImages:
        """Return the archive, not looked into yet."""
        return LabelledImages(self.data_dir, in_archive)

    @staticmethod
    def cli(*, data: Annotated["PlanetTrainingData", Parameter(name="*")]) -> RunReport:
        """Make training data of PlanetScope images and the slumps digitised on them."""
        return data.create()


@dataclass(frozen=True, kw_only=True)
class PingoTrainingData(_OfPlanetImages):
    """Makes training data of PlanetScope images that lie at any depth, found by their `*_SR.tif`."""

    name: ClassVar[str] = "planet-pingo"
    function_name: ClassVar[str] = "preprocess_planet_train_data_pingo"

    def find(self) -> LabelledImages:
        """Return the archive, not looked into yet."""
        return LabelledImages(self.data_dir, anywhere_below)

    @staticmethod
    def cli(*, data: Annotated["PingoTrainingData", Parameter(name="*")]) -> RunReport:
        """Make training data of PlanetScope images that lie at any depth, found by their `*_SR.tif`."""
        return data.create()


preprocess_planet_train_data = as_function(PlanetTrainingData)
preprocess_planet_train_data_pingo = as_function(PingoTrainingData)
create_planet_dataset = PlanetTrainingData.cli
create_pingo_dataset = PingoTrainingData.cli
"""The commands, under names that can be imported when they are called."""
