"""What a publication was made of: tiles at hand, models, and whom to credit."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from darts.pipelines.results.told import parameters_above
from darts_export.record import read_record
from darts_postprocessing.inventory.said import Said
from darts_postprocessing.inventory.tiles.choice import NoTilesError, content_of, find_tiles
from darts_postprocessing.inventory.tiles.facts import TileFacts, tile_facts
from darts_segmentation.models.card import ModelCard, read_card
from darts_segmentation.models.ensemble_card import SUFFIX as ENSEMBLE
from darts_utils.errors import CheckpointError, MissingDataError
from darts_utils.paths import user_path

PROBABILITIES = "probabilities.tif"
_COPERNICUS = "https://stac.dataspace.copernicus.eu/v1/collections"
_ITEMS = {
    "cdse": f"{_COPERNICUS}/sentinel-2-l2a/items/{{}}",
    "cdse-mosaic": f"{_COPERNICUS}/sentinel-2-global-mosaics/items/{{}}",
}
"""Where catalogues have the STAC items of images, by the name of the catalogue."""


@dataclass(frozen=True, kw_only=True)
class MappedTile:
    """A tile of the inventory that is at hand."""

    facts: TileFacts
    record: Mapping[str, Any]
    """How it was made."""

    @property
    def acquired(self) -> datetime:
        """When its image was taken, UTC; the beginning of the day where no more is told."""
        said = self.record.get("datetime")
        try:
            moment = datetime.fromisoformat(str(said))
        except ValueError:
            moment = datetime.combine(datetime.fromisoformat(self.facts.acquired).date(), time())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    @property
    def href(self) -> str | None:
        """Where the STAC item of its image is, None where that is not known."""
        image = self._document.get("image")
        source = image.get("source") if isinstance(image, Mapping) else None
        address = _ITEMS.get(str(source))
        return None if address is None else address.format(self.facts.image_id)

    @property
    def auxiliary(self) -> Mapping[str, str]:
        """Editions of the auxiliary data that it read, by their names."""
        said = self._document.get("auxiliary")
        layers = said.items() if isinstance(said, Mapping) else ()
        return {str(name): str(one.get("version", "")) for name, one in layers if isinstance(one, Mapping)}

    @property
    def _document(self) -> Mapping[str, Any]:
        said = self.record.get("DARTS_fingerprint_document")
        return said if isinstance(said, Mapping) else {}


def tiles_at_hand(roots: Sequence[Path], said: Said, *, are_needed: bool) -> tuple[list[MappedTile], list[TileFacts]]:
    """Return the tiles below some folders that an inventory was made of, by image and path, and others of its images.

    The others were mapped by other models, or again after the inventory was built, so that they have other results.

    Args:
        roots: The folders.
        said: What the inventory says of itself.
        are_needed: Whether it is wrong that there is none.

    Raises:
        MissingDataError: If there is no tile at all, and they are needed; or one was exported without polygons.
    """
    images = {image for image, _ in said.counted.images}
    facts = [one for one in map(tile_facts, _folders(roots, are_needed=are_needed)) if one.image_id in images]
    known = {(image, models) for image, models in said.counted.images}
    tiles, others = [], []
    for one in sorted(facts, key=lambda one: (one.image_id, one.folder)):
        if _is_as_it_was(one, said.counted.results.get(one.image_id), known):
            tiles.append(MappedTile(facts=one, record=read_record(one.folder) or {}))
        else:
            others.append(one)
    return tiles, others


def _folders(roots: Sequence[Path], *, are_needed: bool) -> list[Path]:
    try:
        return find_tiles(roots)
    except NoTilesError as error:
        if not are_needed:
            return []
        raise MissingDataError(
            f"there is no tile in {', '.join(map(str, roots))}. Name the results folders of the runs with --tiles, or "
            "publish without mosaics: --mosaic none."
        ) from error


def _is_as_it_was(tile: TileFacts, results: Sequence[str] | None, known: Set[tuple[str, str]]) -> bool:
    """Return whether a tile has the results that an inventory was made of, or at least is of the same models."""
    return (tile.image_id, tile.model_ids) in known if results is None else content_of(tile.folder) in results


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """A model that mapped tiles of the inventory."""

    name: str
    model_id: str
    file: Path | None
    """None where it is not at hand."""
    card: ModelCard | None


def models_of(tiles: Iterable[MappedTile]) -> tuple[list[PublishedModel], list[Path]]:
    """Return the models that tiles name, by name, and the ensemble cards of their runs."""
    named: dict[str, str] = {}
    files: dict[str, tuple[Path, ModelCard]] = {}
    ensembles: set[Path] = set()
    for tile in tiles:
        for part in str(tile.record.get("DARTS_models", "")).split(","):
            name, _, model_id = part.strip().rpartition(" ")
            if name:
                named[model_id] = name
        for given in parameters_above(tile.facts.folder).get("model_files", ()):
            file = user_path(str(given))
            if file.name.endswith(ENSEMBLE) and file.is_file():
                ensembles.add(file)
            elif (card := _card(file)) is not None and card.model_id is not None:
                files[card.model_id] = file, card
    names = _distinct(named)
    models = [
        PublishedModel(
            name=names[one], model_id=one, file=files.get(one, (None,))[0], card=files.get(one, (0, None))[1]
        )
        for one in named
    ]
    return sorted(models, key=lambda one: one.name), sorted(ensembles)


def _distinct(named: Mapping[str, str]) -> dict[str, str]:
    """Return a name for each id: where two models are called alike, with the beginning of the id."""
    ids = defaultdict(list)
    for model_id, name in named.items():
        ids[name].append(model_id)
    return {one: name if len(same) == 1 else f"{name}-{one[:8]}" for name, same in ids.items() for one in same}


def _card(file: Path) -> ModelCard | None:
    if file.suffix != ".safetensors":
        return None
    try:
        return read_card(file)
    except CheckpointError:
        return None


@dataclass(frozen=True)
class Credit:
    """Whom to credit for data, and on which terms these are."""

    data: str
    terms: str
    words: str
    doi: str | None = None
    caution: str | None = None
    """What whoever publishes is told once."""


_OF_SENSORS = {
    "sentinel2": Credit(
        "Sentinel-2",
        "free and open, Copernicus Sentinel data terms",
        "Contains modified Copernicus Sentinel data {years}.",
    ),
    "planet": Credit(
        "PlanetScope",
        "sold; what may be passed on says the contract with Planet",
        "PlanetScope images by Planet Labs PBC, under the terms of the contract of whoever mapped them.",
        caution="PlanetScope images are sold. What may be passed on of them says your contract with Planet.",
    ),
}
_OF_LAYERS = {
    "arcticdem": Credit(
        "ArcticDEM",
        "free; the centre asks to be cited",
        "Porter et al. (2023), ArcticDEM - Mosaics, Version 4.1. DEMs provided by the Polar Geospatial Center under "
        "NSF-OPP awards.",
        "10.7910/DVN/3VDC4W",
    ),
    "tcvis": Credit(
        "Landsat trends (TCVIS)",
        "Landsat is free",
        "Trends after Nitze et al. (2018). Landsat images courtesy of the U.S. Geological Survey.",
        "10.1038/s41467-018-07663-3",
    ),
}


def credits_of(tiles: Sequence[MappedTile], sensors: Set[str], said: Said) -> list[Credit]:
    """Return whom to credit for what an inventory was made of.

    Args:
        tiles: Those at hand, which say the layers that they read beside images.
        sensors: Of all images.
        said: What the inventory says of itself.
    """
    known = said.counted.years
    years = "" if not known else str(known[0]) if len(known) == 1 else f"{min(known)} to {max(known)}"
    auxiliary = {name for tile in tiles for name in tile.auxiliary}
    of_images = [credit for sensor, credit in _OF_SENSORS.items() if sensor in sensors]
    of_layers = [credit for layer, credit in _OF_LAYERS.items() if layer in auxiliary]
    return [replace(one, words=one.words.format(years=years)) for one in (*of_images, *of_layers)]
