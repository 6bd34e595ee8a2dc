"""`darts publish`: an inventory as a catalogue for others."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from darts.review.places import DataPlaces
from darts_utils.errors import ConfigError
from darts_utils.paths import user_path

type Mosaic = Literal["polar", "web", "none"]


def publish(
    inventory: Path | None = None,
    *,
    tiles: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    out: Path | None = None,
    about: Path | None = None,
    evaluation: Path | None = None,
    mosaic: Mosaic = "polar",
    models: bool = True,
    pictures: int = 200,
    workers: int | None = None,
    check: Path | None = None,
    data: Annotated[DataPlaces | None, Parameter(name="*")] = None,
) -> None:
    """Write an inventory as a catalogue that others can open, check and cite: map, layers, mosaics, metadata.

    The same command brings a catalogue up to date, and changes only what changed. With --check it says what is wrong
    with a catalogue, whoever made it.

    Args:
        inventory: The inventory.
        tiles: Results folders of the runs that it was made of; the folder that it lies in if not given.
        out: Folder of the catalogue.
        about: TOML file with title, creators, licence and what else people say of it.
        evaluation: Folder of `darts inventory evaluate`, whose scores go into the factsheet.
        mosaic: Grid of the mosaics of probability and of looks: polar in EPSG:6931, web in that of web maps, or none.
        models: Also copy the files of the models.
        pictures: Of how many slumps the map shows a picture, the largest first; 0 for none. Mind the licence of
            PlanetScope's.
        workers: Processes that work at once; one a core if not given.
        check: Check this catalogue instead, whoever made it.
        data: Where images and elevation lie, if not where the runs read them.
    """
    if check is not None:
        if inventory is not None or out is not None:
            raise ConfigError("check takes a catalogue, and nothing is published. Leave the inventory and --out out.")
        from darts.publish.checking import check_published

        check_published(check)
        return
    if inventory is None or out is None:
        lacking = "no inventory is named" if inventory is None else "it is not said where to"
        raise ConfigError(f"{lacking}. Type: darts publish INVENTORY --out CATALOGUE")
    if pictures < 0:
        raise ConfigError(f"pictures is {pictures} but must not be negative. Use 0 for none.")
    from darts.publish.working import Place, Wanted, publish_inventory
    from darts_postprocessing.inventory.said import inventory_in

    folder = inventory_in(user_path(inventory))
    place = Place(
        inventory=folder,
        out=user_path(out),
        roots=[user_path(one) for one in tiles] if tiles else [folder.absolute().parent],
        data=data or DataPlaces(),
        about=None if about is None else user_path(about),
        evaluation=None if evaluation is None else user_path(evaluation),
    )
    publish_inventory(place, Wanted(mosaic=mosaic, models=models, pictures=pictures, workers=workers))
