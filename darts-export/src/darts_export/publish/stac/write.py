"""Writes the STAC files of a catalogue, and removes those that do not belong to it any more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pystac

from darts_export.publish.changed import json_bytes, write_changed
from darts_export.publish.stac import names
from darts_export.publish.stac.collections import Gathered, collection_ids, map_collection, models_collection, root
from darts_export.publish.stac.facts import CatalogueFacts, MapTile, ModelFile
from darts_export.publish.stac.map_items import item_id_of, map_item
from darts_export.publish.stac.model_items import model_item
from darts_utils.errors import ConfigError
from darts_utils.machine.disk import cannot_write
from darts_utils.names import check_name


@dataclass
class StacWritten:
    """What became of the STAC files of a catalogue, each by its path below the folder."""

    changed: list[str] = field(default_factory=list)
    """Written, new or otherwise than before."""
    kept: list[str] = field(default_factory=list)
    """Left alone, since they are what they would have become."""
    removed: list[str] = field(default_factory=list)


def write_stac(
    folder: Path, facts: CatalogueFacts, tiles: Iterable[MapTile], models: Sequence[ModelFile]
) -> StacWritten:
    """Write a self-contained STAC 1.1 catalogue over files that are there, and return what was changed.

    Written are `catalog.json`, `stac/map/` with an item for each tile and year, and `stac/models/` with an item for
    each model. All links but those to images and models elsewhere are relative. Equal facts and files give equal bytes,
    and a file that would not change is not touched. Items of earlier publications that are not given are removed, last.

    Args:
        folder: Of the catalogue.
        facts: Of the catalogue as a whole.
        tiles: Mosaic tiles, in any order; gone over once, one in memory at a time.
        models: Models, among them all that tiles name.

    Raises:
        ConfigError: If ids appear twice, or a tile names a model that is not given.
        DataError: If a tile, a raster or a card cannot be described, or an id cannot name a file.
        MissingDataError: If a file is not there.
        OutputError: If the folder cannot be written to.
    """
    of_map, of_models = collection_ids(facts)
    written, given = StacWritten(), {model.name for model in models}
    known_models, known_tiles = Gathered(), Gathered()
    for model in models:
        _check_new(model.name, known_models)
        item = model_item(folder, model, facts, of_models)
        _write_item(folder, names.model_item_path(model.name), item, known_models, written)
    for tile in tiles:
        _check_new(item_id_of(tile), known_tiles)
        _check_models(tile, given)
        item = map_item(folder, tile, facts, of_map)
        _write_item(folder, names.map_item_path(item.id), item, known_tiles, written)
    _write(folder, names.MODELS, models_collection(facts, known_models), written)
    _write(folder, names.MAP, map_collection(folder, facts, known_tiles), written)
    _write(folder, names.ROOT, root(facts), written)
    _remove_others(folder, written)
    return written


def _check_new(item_id: str, known: Gathered) -> None:
    check_name(item_id, "an item of a catalogue")
    if item_id in known.ids or item_id == "collection":
        raise ConfigError(
            f"{item_id} is given twice, or is the name of the collection. Give each item a name of its own."
        )


def _check_models(tile: MapTile, given: set[str]) -> None:
    if unknown := sorted(set(tile.models) - given):
        raise ConfigError(
            f"the tile {item_id_of(tile)} names the model {unknown[0]}, which is not given. Give its card."
        )


def _write_item(folder: Path, path: str, item: pystac.Item, known: Gathered, written: StacWritten) -> None:
    known.add(item)
    _write(folder, path, item, written)


def _write(folder: Path, path: str, said: pystac.STACObject, written: StacWritten) -> None:
    content = json_bytes(said.to_dict(include_self_link=False, transform_hrefs=False))
    (written.changed if write_changed(folder / path, content) else written.kept).append(path)


def _remove_others(folder: Path, written: StacWritten) -> None:
    """Remove the items of earlier publications."""
    ours = {*written.changed, *written.kept}
    for place in (names.MAP_FOLDER, names.MODELS_FOLDER):
        for file in sorted((folder / place).glob("*.json")):
            path = f"{place}/{file.name}"
            if path not in ours:
                try:
                    file.unlink()
                except OSError as error:
                    raise cannot_write(file, error) from error
                written.removed.append(path)
