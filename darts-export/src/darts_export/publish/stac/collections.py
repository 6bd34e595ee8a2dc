"""The STAC root of a catalogue and its two collections, which tell what lies in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pystac
from pystac.utils import datetime_to_str

from darts_export.publish.stac import names
from darts_export.publish.stac.extent import Box, box_around
from darts_export.publish.stac.facts import CatalogueFacts, Layer, Provider
from darts_export.publish.stac.files import file_fields, file_of, href_from
from darts_export.publish.stac.links import family, link
from darts_export.publish.stac.model_items import ARTIFACTS, WEIGHTS

_OF_A_BAND = ("name", "description", "unit")


@dataclass
class Gathered:
    """What is remembered of the items of a collection, which are written one after the other."""

    ids: set[str] = field(default_factory=set)
    boxes: list[Box] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None
    years: set[int] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    resolutions: set[float] = field(default_factory=set)
    assets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, item: pystac.Item) -> None:
        """Remember what the collection tells of an item."""
        self.ids.add(item.id)
        if item.bbox is not None:
            self.boxes.append(item.bbox)
        started = item.common_metadata.start_datetime or item.datetime
        ended = item.common_metadata.end_datetime or item.datetime
        self.first = min(filter(None, (self.first, started)), default=None)
        self.last = max(filter(None, (self.last, ended)), default=None)
        if "darts:year" in item.properties:
            self.years.add(item.properties["darts:year"])
        for key, asset in item.assets.items():
            self._add_asset(key, asset)

    def _add_asset(self, key: str, asset: pystac.Asset) -> None:
        told = asset.extra_fields
        self.assets.setdefault(key, _kind_of(asset))
        if told.get("proj:code"):
            self.codes.add(told["proj:code"])
        if "raster:spatial_resolution" in told:
            self.resolutions.add(told["raster:spatial_resolution"])


def collection_ids(facts: CatalogueFacts) -> tuple[str, str]:
    """Return the ids of the collections of maps and of models."""
    return f"{facts.catalogue_id}-map", f"{facts.catalogue_id}-models"


def root(facts: CatalogueFacts) -> pystac.Catalog:
    """Return the root of a catalogue."""
    catalogue = pystac.Catalog(facts.catalogue_id, facts.description, title=facts.title, extra_fields=_own(facts))
    catalogue.clear_links()
    catalogue.add_link(link("root", names.ROOT, names.ROOT, names.JSON))
    catalogue.add_link(link("child", names.ROOT, names.MAP, names.JSON, "Maps"))
    catalogue.add_link(link("child", names.ROOT, names.MODELS, names.JSON, "Models"))
    _add_outside(catalogue, facts)
    return catalogue


def map_collection(folder: Path, facts: CatalogueFacts, tiles: Gathered) -> pystac.Collection:
    """Return the collection of mosaic tiles, with the layers of the catalogue as its assets.

    Raises:
        MissingDataError: If a layer is not there.
    """
    title = f"{facts.title}: maps"
    boxes = [*tiles.boxes, *([] if facts.box is None else [facts.box])]
    collection = _collection(facts, collection_ids(facts)[0], title, facts.description, replace(tiles, boxes=boxes))
    collection.stac_extensions = [names.FILE_INFO, names.PROCESSING, *([names.RASTER] if tiles.resolutions else [])]
    collection.summaries = pystac.Summaries(
        {
            "processing:level": [names.LEVEL],
            **_listed("darts:year", tiles.years),
            **_listed("proj:code", tiles.codes),
            **_listed("raster:spatial_resolution", tiles.resolutions),
        }
    )
    collection.extra_fields["item_assets"] = tiles.assets
    if facts.box is not None:
        collection.extra_fields[names.GROUND] = list(facts.box)
    collection.add_links(family(names.MAP, names.ROOT))
    collection.add_links(_items(names.MAP, names.MAP_FOLDER, tiles.ids))
    _add_outside(collection, facts)
    for layer in facts.layers:
        collection.add_asset(layer.key, _asset(folder, layer))
    return collection


def models_collection(facts: CatalogueFacts, models: Gathered) -> pystac.Collection:
    """Return the collection of models."""
    text = f"The models that made the maps of: {facts.title}"
    collection = _collection(facts, collection_ids(facts)[1], f"{facts.title}: models", text, models)
    collection.stac_extensions = [names.MLM]
    collection.extra_fields["item_assets"] = {
        "model": {"type": WEIGHTS, "roles": ["mlm:model"], "mlm:artifact_type": ARTIFACTS[".safetensors"]}
    }
    collection.add_links(family(names.MODELS, names.ROOT))
    collection.add_links(_items(names.MODELS, names.MODELS_FOLDER, models.ids))
    return collection


def _collection(
    facts: CatalogueFacts, collection_id: str, title: str, description: str, items: Gathered
) -> pystac.Collection:
    extent = pystac.Extent(
        pystac.SpatialExtent([box_around(items.boxes)]), pystac.TemporalExtent([[items.first, items.last]])
    )
    collection = pystac.Collection(
        collection_id,
        description,
        extent,
        title=title,
        license=facts.licence,
        keywords=list(facts.keywords) or None,
        providers=[_provider(provider) for provider in facts.providers] or None,
        extra_fields={**_own(facts), "updated": datetime_to_str(facts.published)},
    )
    collection.clear_links()
    return collection


def _own(facts: CatalogueFacts) -> dict[str, Any]:
    return {names.OURS: facts.version}


def _add_outside(catalogue: pystac.Catalog, facts: CatalogueFacts) -> None:
    """Add what leads out of the catalogue."""
    if facts.licence_href is not None:
        catalogue.add_link(pystac.Link(pystac.RelType.LICENSE, facts.licence_href))
    if facts.doi is not None:
        catalogue.add_link(pystac.Link("cite-as", f"https://doi.org/{facts.doi}"))


def _items(path: str, folder: str, ids: Iterable[str]) -> list[pystac.Link]:
    return [link("item", path, f"{folder}/{item_id}.json", names.GEOJSON) for item_id in sorted(ids)]


def _listed(name: str, values: Iterable[Any]) -> Mapping[str, Any]:
    """Return a summary, nothing where there is nothing to sum up."""
    known = sorted(values)
    return {name: known} if known else {}


def _provider(provider: Provider) -> pystac.Provider:
    roles = [pystac.ProviderRole(role) for role in provider.roles]
    return pystac.Provider(provider.name, provider.description, roles, provider.url)


def _asset(folder: Path, layer: Layer) -> pystac.Asset:
    file = file_of(folder, layer.path)
    href = href_from(names.MAP, layer.path) + ("/" if file.is_dir() else "")
    return pystac.Asset(href, layer.title, layer.description, layer.media_type, list(layer.roles), file_fields(file))


def _kind_of(asset: pystac.Asset) -> dict[str, Any]:
    """Return what all assets of a kind share."""
    fields: dict[str, Any] = {"title": asset.title, "type": asset.media_type, "roles": asset.roles}
    if "data_type" in asset.extra_fields:
        fields["data_type"] = asset.extra_fields["data_type"]
    if "bands" in asset.extra_fields:
        fields["bands"] = [
            {key: band[key] for key in _OF_A_BAND if key in band} for band in asset.extra_fields["bands"]
        ]
    return {key: value for key, value in fields.items() if value is not None}
