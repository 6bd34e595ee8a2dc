"""What is told of a publication, as STAC, DataCite and PROV ask for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely

from darts.publish.about import NO_LICENCE, About
from darts.publish.dictionary import TABLES
from darts.publish.identifiers import spdx_of
from darts.publish.sources import Credit, MappedTile, PublishedModel
from darts_export.publish.checking.schemas import DATACITE, fault_of
from darts_export.publish.datacite import Creator, DataciteFacts, Related, Right, datacite_document
from darts_export.publish.provenance import Activity, Agent, Entity, ProvenanceFacts, provenance_document
from darts_export.publish.stac import names
from darts_export.publish.stac.facts import Band, CatalogueFacts, Image, Layer, MapTile, ModelFile, Provider, Raster
from darts_export.publish.told import MosaicTile
from darts_postprocessing.inventory.said import Said
from darts_utils.errors import ConfigError

KEYWORDS = (
    "permafrost",
    "retrogressive thaw slumps",
    "thermokarst",
    "Arctic",
    "remote sensing",
    "semantic segmentation",
)
_METHODS = (
    "Satellite images were segmented by {networks}; what the images of a year show was joined to one inventory of "
    "slumps, tracked over years."
)
_MEAN = Band(name="probability", description="mean probability of slump over the images of the year", unit="%")
_LOOKS = Band(name="looks", description="images of the year that saw the ground", unit="1")
_FILES = (
    ("slumps", "layers/slumps.parquet", "slumps of each year", names.GEOPARQUET),
    ("tracks", "layers/tracks.parquet", "slumps over all years", names.GEOPARQUET),
    ("geopackage", "layers/darts.gpkg", "all layers, with styles for QGIS", names.GEOPACKAGE),
    ("pmtiles", "layers/slumps.pmtiles", "slumps as vector tiles", names.PMTILES),
    ("qgis", "darts.qgz", "project for QGIS", "application/zip"),
    ("map", "index.html", "map", "text/html"),
    ("factsheet", "factsheet.html", "factsheet", "text/html"),
    ("provenance", "provenance.json", "how it came about (W3C PROV)", names.JSON),
    ("citation", "datacite.json", "metadata for citation (DataCite)", names.JSON),
    ("readme", "README.md", "what is in it, columns, credits", "text/markdown"),
)
_FOLDERS = (
    ("inventory", "inventory", "the whole inventory", names.GEOPARQUET, "data"),
    *((name, f"inventory/{name}", f"inventory: {name}", names.GEOPARQUET, "data") for name in TABLES),
    ("map-data", "data", "what the map reads", "text/javascript", "metadata"),
    ("pictures", "pictures", "pictures of slumps", "image/jpeg", "metadata"),
)


@dataclass(frozen=True, kw_only=True)
class Published:
    """All that goes into a publication."""

    about: About
    said: Said
    tiles: Sequence[MappedTile]
    scores: Any
    """Of an evaluation, None without one."""
    models: Sequence[PublishedModel]
    credit: Sequence[Credit]
    mosaics: Sequence[MosaicTile]
    looks: gpd.GeoDataFrame
    """What images saw, in degrees: `image_id sensor acquired year`."""
    reviewers: Sequence[str]
    box: Sequence[float]
    """West, south, east and north of what was looked at, in degrees; the western end may be the larger one."""
    catalogue: Path
    copied: Mapping[str, str]
    """Where in the catalogue the files of models lie, by the name of the model."""

    @property
    def years(self) -> tuple[int, int]:
        """The first and the last year."""
        return min(self.said.counted.years), max(self.said.counted.years)


def catalogue_facts(what: Published) -> CatalogueFacts:
    """Return what STAC tells of the catalogue as a whole."""
    about = what.about
    layers = [
        Layer(key=key, path=path, title=title, media_type=kind, roles=("data",) if "layers" in path else ("metadata",))
        for key, path, title, kind in _FILES
        if (what.catalogue / path).is_file()
    ]
    layers += [
        Layer(key=f"folder-{key}", path=path, title=title, media_type=kind, roles=(role,))
        for key, path, title, kind, role in _FOLDERS
        if any((what.catalogue / path).glob("*"))
    ]
    people = [Provider(name=one.name, roles=("producer",)) for one in about.people]
    sources = [Provider(name=one.data, roles=("licensor",), description=one.words) for one in what.credit]
    return CatalogueFacts(
        catalogue_id="darts",
        title=about.title,
        description=about.description or f"{about.title}, {what.years[0]} to {what.years[1]}.",
        licence=spdx_of(about.licence) or NO_LICENCE,
        licence_href=about.licence_url,
        published=about.moment,
        version=about.version,
        software={"darts": version("darts-nextgen")},
        providers=(*people, *sources),
        keywords=about.keywords or KEYWORDS,
        layers=tuple(layers),
        box=what.box,
        doi=about.doi,
    )


def map_tiles(what: Published) -> list[MapTile]:
    """Return what STAC tells of the mosaics."""
    by_image: dict[tuple[int, str], list[MappedTile]] = {}
    for tile in what.tiles:
        by_image.setdefault((tile.facts.year, tile.facts.image_id), []).append(tile)
    return [_map_tile(one, by_image, what) for one in what.mosaics]


def _map_tile(mosaic: MosaicTile, by_image: Mapping[tuple[int, str], Sequence[MappedTile]], what: Published) -> MapTile:
    ids = _over(mosaic, what) if mosaic.image_ids is None else mosaic.image_ids
    tiles = [tile for image in ids for tile in by_image[mosaic.year, image][:1]]
    known = {one.model_id: one.name for one in what.models if one.card is not None}
    of_tiles = {known[one] for tile in tiles for one in tile.facts.model_ids.split(",") if one in known}
    rasters = (
        ("probability", mosaic.probability, "mean probability of slump", _MEAN),
        ("looks", mosaic.looks, "looks", _LOOKS),
    )
    return MapTile(
        year=mosaic.year,
        cell=mosaic.cell,
        rasters=tuple(
            Raster(key=key, path=file.relative_to(what.catalogue).as_posix(), title=title, bands=(band,))
            for key, file, title, band in rasters
        ),
        images=tuple(Image(image_id=tile.facts.image_id, acquired=tile.acquired, href=tile.href) for tile in tiles),
        models=tuple(sorted(of_tiles)),
        lineage=f"Mean of the maps of {mosaic.n_images} images of {mosaic.year}, resampled to the nearest pixel.",
    )


def _over(mosaic: MosaicTile, what: Published) -> list[str]:
    """Return the images that saw some ground of a cell, of which a raster does not name so many."""
    cell = shapely.geometry.shape(mosaic.geometry)
    of_year = what.looks[what.looks["year"] == mosaic.year]
    over = shapely.intersects(of_year.geometry.to_numpy(), cell)
    at_hand = {tile.facts.image_id for tile in what.tiles}
    return sorted(at_hand.intersection(of_year.loc[over, "image_id"]))


def model_files(what: Published) -> list[ModelFile]:
    """Return what STAC tells of the models whose cards are at hand."""
    return [
        ModelFile(name=one.name, card=one.card.to_json(), path=what.copied.get(one.name))
        for one in what.models
        if one.card is not None
    ]


def datacite_facts(what: Published) -> DataciteFacts:
    """Return what is told to those who cite it."""
    about, (first, last) = what.about, what.years
    creators = tuple(
        Creator(
            name=one.name,
            orcid=one.orcid,
            affiliations=() if one.affiliation is None else (one.affiliation,),
            is_organisation=one.organisation,
        )
        for one in about.people
    )
    derived = [Related(identifier=one.doi, relation="IsDerivedFrom") for one in what.credit if one.doi]
    related = [Related(identifier=one.identifier, relation=one.relation) for one in about.related]
    right = Right(name=about.licence, href=about.licence_url, spdx=spdx_of(about.licence))
    return DataciteFacts(
        title=about.title,
        creators=creators,
        publisher=about.publisher,
        publication_year=about.moment.year,
        version=about.version,
        abstract=about.description or f"{about.title}, {first} to {last}.",
        methods=_methods(what),
        subjects=about.keywords or KEYWORDS,
        dates=((f"{first}/{last}", "Collected"), (about.moment.date().isoformat(), "Issued")),
        boxes=(what.box,),
        rights=(right,),
        related=(*derived, *related),
        formats=(names.GEOPARQUET, names.GEOPACKAGE, names.GEOTIFF),
        doi=about.doi,
    )


def _methods(what: Published) -> str:
    """Return how it was made: by one model, by several together, or by whatever models tiles tell nothing of."""
    several = {"," in models for _, models in what.said.counted.images}
    kinds = {True: "an ensemble of neural networks", False: "a neural network"}
    return _METHODS.format(networks=" or ".join(kinds[one] for one in sorted(several)) or "neural networks")


def check_told(what: Published) -> None:
    """See to it that what is told of a publication can be published, before it is.

    Raises:
        ConfigError: If metadata of it would not be valid.
    """
    provenance_document(provenance_facts(what))
    fault = fault_of(datacite_document(datacite_facts(what)), DATACITE)
    if fault is not None:
        raise ConfigError(f"metadata for the archive would not be valid: {fault}. Correct the file of --about.")


def provenance_facts(what: Published) -> ProvenanceFacts:
    """Return how the publication came about: from images over maps and the inventory, with review, to the catalogue."""
    entities = _images(what)
    entities += [_model(one) for one in what.models]
    editions = sorted({(name, edition) for tile in what.tiles for name, edition in tile.auxiliary.items()})
    auxiliary = [Entity(key=_key("auxiliary", *one), kind="auxiliary data", label=" ".join(one)) for one in editions]
    inputs = tuple(one.key for one in (*entities, *auxiliary))
    maps = Entity(
        key="maps", kind="maps of images", label="probabilities and objects of each image", derived_from=inputs
    )
    inventory = Entity(key="inventory", kind="inventory", label="slumps of each year, tracked", derived_from=("maps",))
    verdicts = [Entity(key="verdicts", kind="verdicts", derived_from=("inventory",))] if what.reviewers else []
    catalogue = Entity(key="catalogue", kind="publication", label=what.about.title, derived_from=("inventory", "maps"))
    agents = _agents(what)
    reviewers = tuple(_key("reviewer", one) for one in what.reviewers)
    activities = [
        Activity(
            key="mapping",
            kind="mapping",
            used=inputs,
            generated=("maps",),
            agents=("darts",),
            attributes=_parameters(what),
        ),
        Activity(
            key="inventorying",
            kind="inventory",
            used=("maps",),
            generated=("inventory",),
            agents=("darts",),
            attributes=_rules(what),
        ),
    ]
    if verdicts:
        activities.append(
            Activity(key="review", kind="review", used=("inventory",), generated=("verdicts",), agents=reviewers)
        )
    used = ("inventory", "maps", *(one.key for one in verdicts))
    people = tuple(_key("person", one.name) for one in what.about.people)
    activities.append(
        Activity(key="publishing", kind="publication", used=used, generated=("catalogue",), agents=("darts", *people))
    )
    every = [*entities, *auxiliary, maps, inventory, *verdicts, catalogue]
    return ProvenanceFacts(entities=every, activities=activities, agents=agents)


def _agents(what: Published) -> list[Agent]:
    software = Agent(key="darts", name="DARTS", kind="software", version=version("darts-nextgen"))
    libraries = sorted({one for tile in what.tiles for one in tile.record.get("DARTS_software", {}).items()})
    people = [
        Agent(key=_key("person", one.name), name=one.name, kind="organisation" if one.organisation else "person",
              href=None if one.orcid is None else f"https://orcid.org/{one.orcid}")
        for one in what.about.people
    ]  # fmt: skip
    reviewers = [Agent(key=_key("reviewer", one), name=one, kind="person") for one in what.reviewers]
    others = [Agent(key=_key("software", *one), name=one[0], kind="software", version=one[1]) for one in libraries]
    return [software, *others, *people, *reviewers]


def _images(what: Published) -> list[Entity]:
    """Return all images of the inventory, with the moment and the place of those whose tiles are at hand."""
    tiles = {tile.facts.image_id: tile for tile in what.tiles}
    table = what.looks.drop_duplicates("image_id").sort_values("image_id")
    seen = {one.image_id: (one.acquired, one.sensor) for one in table.itertuples()}
    told = {**seen, **{name: (tile.acquired.isoformat(), tile.facts.sensor) for name, tile in tiles.items()}}
    return [
        Entity(
            key=_key("image", name),
            kind="image",
            label=name,
            href=tiles[name].href if name in tiles else None,
            attributes={"acquired": acquired, "sensor": sensor},
        )
        for name, (acquired, sensor) in sorted(told.items())
    ]


def _model(model: PublishedModel) -> Entity:
    return Entity(
        key=_key("model", model.name), kind="model", label=model.name, attributes={"model_id": model.model_id}
    )


def _parameters(what: Published) -> Mapping[str, Any]:
    """Return the parameters that all tiles share, and of the others that there are several values."""
    told: dict[str, set[str]] = {}
    for tile in what.tiles:
        said = tile.record.get("DARTS_fingerprint_document", {}).get("parameters", {})
        for name, value in said.items():
            told.setdefault(name, set()).add(str(value))
    return {name: ", ".join(sorted(values)) for name, values in sorted(told.items())}


def _rules(what: Published) -> Mapping[str, Any]:
    rules = vars(what.said.rules).items()
    return {
        name: ", ".join(value) if isinstance(value, tuple) else str(value) for name, value in rules if value is not None
    }


def _key(*words: str) -> str:
    return "-".join(words)
