"""What a catalogue tells of maps, models and layers: plain facts, which whoever publishes hands over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A person or an organisation."""

    name: str
    roles: tuple[str, ...]
    """Of `producer`, `processor`, `licensor`, `host`."""
    url: str | None = None
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class Band:
    """What a band of a raster holds."""

    name: str
    description: str
    unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Raster:
    """A cloud-optimised GeoTIFF of a mosaic tile."""

    key: str
    """What it is, such as `probability`: the same for all tiles."""
    path: str
    """Below the catalogue's folder, with `/`."""
    title: str
    bands: tuple[Band, ...]
    """In order."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A satellite image that went into a mosaic tile."""

    image_id: str
    acquired: datetime
    """With its time zone."""
    href: str | None = None
    """Where its own STAC item is, if that is known."""


@dataclass(frozen=True, kw_only=True)
class MapTile:
    """A cell of a mosaic in a year."""

    year: int
    cell: str
    rasters: tuple[Raster, ...]
    """At least one; the first one's grid is where the tile lies."""
    images: tuple[Image, ...]
    """At least one."""
    models: tuple[str, ...]
    """Names of the models that mapped them."""
    lineage: str
    """How it was made, in a sentence or two."""


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model, and where its weights are."""

    name: str
    """Of its item; the names of models in a catalogue differ."""
    card: Mapping[str, Any]
    """The content of `darts` in its header, see the reference of the model file."""
    path: str | None = None
    """Of the weights below the catalogue's folder; None where they are not part of it."""
    href: str | None = None
    """Where else the weights can be had."""
    trained_on: tuple[datetime, datetime] | None = None
    """When the first and the last image that it was trained on were taken, if that is known."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Another file or folder of the catalogue, such as a layer of the inventory or a picture."""

    key: str
    path: str
    """Below the catalogue's folder, with `/`."""
    title: str
    media_type: str
    roles: tuple[str, ...] = ("data",)
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class CatalogueFacts:
    """What is told of the catalogue as a whole."""

    catalogue_id: str
    title: str
    description: str
    licence: str
    """An SPDX identifier, or `other`."""
    published: datetime
    """With its time zone; the only time of making that a catalogue has."""
    version: str
    """Of the publication."""
    software: Mapping[str, str]
    """What it was made with, and in which version."""
    licence_href: str | None = None
    """Where the licence can be read."""
    providers: tuple[Provider, ...] = ()
    keywords: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    """Assets of the collection of maps."""
    doi: str | None = None
    """Without an address before it."""
    box: Sequence[float] | None = None
    """West, south, east and north of the ground that was looked at, in degrees; the western end may be the larger."""
