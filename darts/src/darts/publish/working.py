"""A publication at work: piece by piece, each left alone where it is what it would become."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd

from darts.inventory.layers import read_part, read_verdicts
from darts.inventory.spreading import spread_over_cores
from darts.publish.about import About, read_about
from darts.publish.facts import (
    Published,
    catalogue_facts,
    check_told,
    datacite_facts,
    map_tiles,
    model_files,
    provenance_facts,
)
from darts.publish.figures import Figures, figures_of, scores_of
from darts.publish.identifiers import with_plain_identifiers
from darts.publish.map.page import Words, write_map
from darts.publish.map.tiles import TILES, write_pmtiles
from darts.publish.models import copy_models
from darts.publish.pictures import write_pictures
from darts.publish.project import write_qgis
from darts.publish.sources import PROBABILITIES, MappedTile, credits_of, models_of, tiles_at_hand
from darts.publish.texts import write_texts
from darts.publish.vectors import copy_inventory, judged_slumps, write_vectors
from darts.review.places import DataPlaces
from darts.utils.terminal import note, now_and_then, say
from darts_export.publish import checksums, datacite, provenance
from darts_export.publish.changed import json_bytes, replace_changed, write_changed
from darts_export.publish.datacite import datacite_document
from darts_export.publish.grids import FINEST_M, MosaicGrid, mercator_grid, mercator_zoom, nearest_size_m, polar_grid
from darts_export.publish.looks import Look, finest_pixel_m
from darts_export.publish.mosaics import Spread, write_mosaics
from darts_export.publish.provenance import provenance_document
from darts_export.publish.stac import names
from darts_export.publish.stac.extent import box_of
from darts_export.publish.stac.write import write_stac
from darts_export.publish.told import MosaicTile
from darts_postprocessing.density.density import densities
from darts_postprocessing.inventory.said import CATALOGUE, Said, read_said
from darts_postprocessing.inventory.tiles.facts import TileFacts
from darts_utils.errors import ConfigError
from darts_utils.files import exclusive_lock, make_folder
from darts_utils.machine.outputs import check_writable
from darts_utils.names import check_name
from darts_utils.text import counted

MOSAICS = "mosaics"
_LINKS = (
    ("Factsheet", "factsheet.html"),
    ("Columns and citation", "README.md"),
    ("GeoPackage", "layers/darts.gpkg"),
    ("QGIS project", "darts.qgz"),
)
_LATITUDE = 70.0
"""Where slumps are: the zoom level of mosaics for web maps is that of their pixels there, in every publication."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a publication is to have."""

    mosaic: str
    """`polar`, `web` or `none`."""
    models: bool
    pictures: int
    workers: int | None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where what is published lies, and where it goes."""

    inventory: Path
    out: Path
    roots: Sequence[Path]
    """Results folders."""
    data: DataPlaces
    """Where images lie, if not where the runs read them."""
    about: Path | None
    evaluation: Path | None


def publish_inventory(place: Place, wanted: Wanted) -> None:
    """Write a catalogue, see `darts.publish.command.publish`; what is wrong is found before anything is changed."""
    _check_out(place.inventory, place.out)
    known = _known(place, wanted)
    lock = place.out.absolute().parent / f".{place.out.absolute().name}.lock"
    with exclusive_lock(lock, timeout_s=0), spread_over_cores(wanted.workers) as spread:
        say("Figures")
        seen_km2 = _seen_km2(place.inventory, known.what.said, spread)
        figures = figures_of(place.inventory, known.slumps, known.tracks, seen_km2, known.what.scores)
        _begin(place.out)
        what = _data(place, wanted, known, spread)
        _told(place, wanted, replace(known, what=what), figures)
        say("Checksums")
        checksums.write_checksums(place.out)
    say(f"Catalogue: {place.out}")


def _check_out(inventory: Path, out: Path) -> None:
    """Refuse a folder that is no place for a catalogue.

    Raises:
        ConfigError: If it has other things in it, is the inventory, or lies in that.
    """
    check_writable(out)
    own, other = out.resolve(), inventory.resolve()
    if other.is_relative_to(own):
        raise ConfigError(f"the inventory lies in {out}. Give the catalogue a folder of its own.")
    if own.is_relative_to(other):
        raise ConfigError(f"{out} lies in the inventory. Give the catalogue a folder outside of it.")
    if out.is_dir() and any(one.name[0] != "." for one in out.iterdir()) and not _is_own(out):
        raise ConfigError(f"{out} has other things in it than a catalogue. Give a folder of its own with --out.")


def _is_own(folder: Path) -> bool:
    """Tell whether a catalogue was written to a folder, or begun: in another one files of others would be removed."""
    try:
        root = json.loads((folder / CATALOGUE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(root, dict) and (root == {} or names.OURS in root)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known before anything is written."""

    what: Published
    """Still without mosaics, and without the places of models in the catalogue."""
    slumps: gpd.GeoDataFrame
    tracks: gpd.GeoDataFrame
    ensembles: Sequence[Path]
    rasters: Sequence[Look]
    """Probabilities that go into mosaics."""
    grid: MosaicGrid


def _known(place: Place, wanted: Wanted) -> Known:
    """Read all that a catalogue is made of but rasters.

    Raises:
        ConfigError: If there is nothing to publish, or what people say of it cannot be published.
        DataError: If something is damaged.
        MissingDataError: If something is not there.
    """
    said, about = read_said(place.inventory), _about(place.about)
    scores = None if place.evaluation is None else scores_of(place.evaluation)
    say("Inventory and tiles")
    slumps, tracks = judged_slumps(place.inventory), read_part(place.inventory, "tracks")
    if slumps.empty:
        raise ConfigError(f"{place.inventory} has no slumps, so there is nothing to publish.")
    tiles, others = tiles_at_hand(place.roots, said, are_needed=wanted.mosaic != "none")
    _say_lacking(tiles, others, said)
    models, ensembles = models_of(tiles)
    for one in models:
        check_name(one.name, "a model in a catalogue")
    looks = read_part(place.inventory, "looks", ["image_id", "acquired", "year", "sensor", "geometry"])
    what = Published(
        about=about,
        said=said,
        tiles=tiles,
        scores=scores,
        models=models,
        credit=credits_of(tiles, {*looks["sensor"], *(tile.facts.sensor for tile in tiles)}, said),
        mosaics=[],
        looks=looks,
        reviewers=_reviewers(place.inventory),
        box=box_of((looks if len(looks) else slumps).geometry.to_numpy()),
        catalogue=place.out,
        copied={},
    )
    check_told(what)
    _say_cautions(what)
    rasters = _rasters(tiles) if wanted.mosaic != "none" else []
    grid = _grid(rasters, wanted.mosaic)
    return Known(what=what, slumps=slumps, tracks=tracks, ensembles=ensembles, rasters=rasters, grid=grid)


def _about(file: Path | None) -> About:
    """Return what people say of the publication, and note what they do not."""
    about = with_plain_identifiers(read_about(file), str(file))
    for name in about.lacking:
        note(f"It is not said: {name}. Name it in a file, and give that with --about.")
    return about


def _say_cautions(what: Published) -> None:
    for credit in what.credit:
        if credit.caution is not None:
            note(credit.caution)


def _say_lacking(tiles: Sequence[MappedTile], others: Sequence[TileFacts], said: Said) -> None:
    if others:
        note(
            f"{counted(len(others), 'tile')} such as {others[0].folder} {'has' if len(others) == 1 else 'have'} other "
            "results than the inventory was made of: not in mosaics. Build the inventory again to have them in both."
        )
    lacking = {image for image, _ in said.counted.images} - {one.image_id for one in others}
    lacking -= {tile.facts.image_id for tile in tiles}
    if lacking:
        note(
            f"Of {counted(len(lacking), 'image')} no tile is at hand: they are in the inventory, but not in mosaics, "
            "and nobody knows by which models, elevation and trends they were mapped. Name their folders with --tiles."
        )


def _begin(out: Path) -> None:
    """Let a folder be known for a catalogue, and one that is half done not look whole."""
    make_folder(out)
    if not (out / CATALOGUE).is_file():
        write_changed(out / CATALOGUE, json_bytes({}))
    (out / checksums.FILE).unlink(missing_ok=True)


def _data(place: Place, wanted: Wanted, known: Known, spread: Spread) -> Published:
    """Write inventory, layers, models and mosaics, and return what is published."""
    inventory, out, what = place.inventory, place.out, known.what
    say("Layers")
    copy_inventory(inventory, out)
    write_vectors(inventory, out, known.slumps, known.tracks)
    copied = copy_models(what.models, known.ensembles, out, wanted=wanted.models)
    say("Mosaics")
    return replace(what, mosaics=_mosaics(known, out / MOSAICS, spread), copied=copied)


def _told(place: Place, wanted: Wanted, known: Known, figures: Figures) -> None:
    """Write all that tells of the data: map, project, texts, metadata."""
    inventory, out, what, slumps = place.inventory, place.out, known.what, known.slumps
    say("Pictures")
    most = wanted.pictures if what.tiles else 0
    pictures = write_pictures(inventory, out, place.roots, slumps, place.data, most=most)
    say("Map")
    _write_map(what, known, inventory, pictures)
    write_qgis(what)
    for name in figures.earlier:
        note(f"The figures of the review {name} are of an earlier map, and not told: run `darts inventory verdicts`.")
    write_texts(what, figures)
    say("Metadata")
    write_changed(out / datacite.FILE, json_bytes(datacite_document(datacite_facts(what))))
    write_changed(out / provenance.FILE, json_bytes(provenance_document(provenance_facts(what))))
    stac = write_stac(out, catalogue_facts(what), map_tiles(what), model_files(what))
    n_mosaics, n_models = counted(len(what.mosaics), "mosaic tile"), counted(len(what.models), "model")
    say(f"{counted(len(slumps), 'row')} of slumps, {n_mosaics}, {n_models}")
    say(f"STAC: {len(stac.changed)} changed, {len(stac.kept)} as they were, {len(stac.removed)} removed")


def _rasters(tiles: Sequence[MappedTile]) -> list[Look]:
    """Return the probabilities of all tiles that have them."""
    files = [(tile, tile.facts.folder / PROBABILITIES) for tile in tiles]
    looks = [Look(tile.facts.image_id, tile.facts.year, file) for tile, file in files if file.is_file()]
    if lacking := len(files) - len(looks):
        note(f"{counted(lacking, 'tile')} without {PROBABILITIES}: not in mosaics.")
    return looks


def _mosaics(known: Known, folder: Path, spread: Spread) -> list[MosaicTile]:
    if not known.rasters and not folder.is_dir():
        return []
    return write_mosaics(known.rasters, folder, known.grid, spread=spread, tell=now_and_then("mosaics"))


def _grid(looks: Sequence[Look], kind: str) -> MosaicGrid:
    """Return the grid of mosaics: as fine as the finest raster."""
    finest = finest_pixel_m(looks) if looks else FINEST_M
    return mercator_grid(mercator_zoom(finest, _LATITUDE)) if kind == "web" else polar_grid(nearest_size_m(finest))


def _reviewers(inventory: Path) -> list[str]:
    verdicts = read_verdicts(inventory)
    return [] if verdicts is None else sorted(set(verdicts["reviewer"]))


def _seen_km2(inventory: Path, said: Said, spread: Spread) -> Mapping[int, float]:
    """Return the ground that was seen in each year."""
    found = densities(inventory, said.counted.years, spread=spread)
    return {one.year: float(one.looks["observed_m2"].sum()) / 1e6 for one in found}


def _write_map(what: Published, known: Known, inventory: Path, pictures: Mapping[str, str]) -> None:
    """Write the vector tiles and the page over them; links are to what the catalogue has."""
    status = known.tracks.drop(columns="geometry")[["slump_id", "status"]]
    with_status = known.slumps.merge(status, how="left", on="slump_id")
    replace_changed(what.catalogue / TILES, lambda file: write_pmtiles(file, with_status))
    about, (first, last) = what.about, what.years
    words = Words(
        title=about.title,
        about=about.description or f"Retrogressive thaw slumps, {first} to {last}, mapped from satellite images.",
        attribution=[f"Licence: {about.licence}", *(one.words for one in what.credit)],
        links=_LINKS,
    )
    years = sorted(what.said.counted.years)
    write_map(what.catalogue, inventory, known.slumps, words, years=years, pictures=pictures)
