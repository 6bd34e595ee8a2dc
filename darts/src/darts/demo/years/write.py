"""A world over years on disk, in the formats of the real thing: a data folder a year."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from darts.demo.world.cubes import write_arcticdem, write_tcvis
from darts.demo.world.write import install_models, told_of, write_scene
from darts.demo.years.images import Image, images_of
from darts.demo.years.world import Charts, WorldOverYears, elevation_of, trends_in
from darts_utils.files import atomic_file


@dataclass(frozen=True)
class WrittenYears:
    """Where the parts of a world over years lie."""

    root: Path
    """The models, the truth, and a data folder a year."""

    def data_dir(self, year: int) -> Path:
        """Return the data folder of a year, with `input` and `aux`."""
        return self.root / str(year)

    def scene_id_file(self, year: int) -> Path:
        """Return the file with the ids of the scenes of a year, one a line."""
        return self.data_dir(year) / "scenes.txt"

    @property
    def outlines(self) -> Path:
        """GeoParquet with the true outlines, one row a slump and year."""
        return self.root / "truth" / "slumps.parquet"

    @property
    def tracks(self) -> Path:
        """Parquet with what became of each slump."""
        return self.root / "truth" / "tracks.parquet"


def write_world_over_years(world: WorldOverYears, root: Path, *, one_trend: bool = False) -> Iterator[Image]:
    """Write a world over years under a folder; each year is a data folder of DARTS in it.

    Args:
        world: The world.
        root: Folder for `models`, `truth` and the years.
        one_trend: All years get the same trends, the mean of them, instead of those of their own.

    Yields:
        Each image, when it is written; after the last one of a year all of that year is there.

    Raises:
        ConfigError: If another world lies at the same place in the datacubes.
        OutputError: If the folder cannot be written.
    """
    there = WrittenYears(root)
    install_models(root / "models")
    with atomic_file(there.outlines) as part:
        world.outlines.to_parquet(part, index=False)
    with atomic_file(there.tracks) as part:
        world.tracks.to_parquet(part, index=False)
    elevation = elevation_of(world)
    for year, images in groupby(images_of(world), key=lambda image: image.year):
        charts = Charts(
            seed=world.seed,
            size=world.size,
            place=world.place,
            elevation=elevation,
            trends=trends_in(world, world.years if one_trend else [year]),
        )
        write_arcticdem(charts, there.data_dir(year) / "aux")
        write_tcvis(charts, there.data_dir(year) / "aux")
        scene_ids = []
        for image in images:
            write_scene(
                there.data_dir(year) / "input" / "sentinel2" / "cdse-scenes",
                image.place,
                reflectance=image.reflectance,
                classes=image.classes,
                description=told_of(world.seed, world.size),
            )
            scene_ids.append(f"{image.place.scene_id}\n")
            with atomic_file(there.scene_id_file(year)) as part:
                part.write_text("".join(scene_ids), encoding="utf-8")
            yield image
