"""A publication at work: piece by piece, each left alone where it is what it would become."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd

from darts.inventory.layers import read_part, read_verdicts
from darts.inventory.spreading import spread_over_cores
from darts.publish.about import About, read_about
from darts.publish.facts import (
    Published,
    box_of,
    catalogue_facts,
    datacite_facts,
    map_tiles,
    model_files,
    provenance_facts,
)
from darts.publish.figures import figures_of, scores_of
from darts.publish.map.page import Words, write_map
from darts.publish.map.tiles import TILES, write_pmtiles
from darts.publish.models import copy_models
from darts.publish.pictures import write_pictures
from darts.publish.project import write_qgis
from darts.publish.sources import PROBABILITIES, MappedTile, credits_of, models_of, tiles_at_hand
from darts.publish.texts import write_texts
from darts.publish.vectors import copy_inventory, judged_slumps, write_vectors
from darts.review.places import DataPlaces
from darts.utils.terminal import note, say
from darts_export.publish import checksums, datacite, provenance
from darts_export.publish.changed import json_bytes, replace_changed, write_changed
from darts_export.publish.checking.catalogue import OURS
from darts_export.publish.datacite import datacite_document
from darts_export.publish.grids import FINEST_M, MosaicGrid, mercator_grid, mercator_zoom, nearest_size_m, polar_grid
from darts_export.publish.looks import Look, finest_pixel_m
from darts_export.publish.mosaics import Spread, write_mosaics
from darts_export.publish.provenance import provenance_document
from darts_export.publish.stac.write import write_stac
from darts_export.publish.told import MosaicTile
from darts_postprocessing.density.density import densities
from darts_postprocessing.inventory.said import CATALOGUE, Said, read_said
from darts_utils.errors import ConfigError
from darts_utils.files import exclusive_lock, make_folder
from darts_utils.machine.outputs import check_writable
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
    """Write a catalogue, see `darts.publish.command.publish`."""
    said, about = read_said(place.inventory), read_about(place.about)
    scores = None if place.evaluation is None else scores_of(place.evaluation)
    _check_out(place.inventory, place.out)
    for name in about.lacking:
        note(f"It is not said: {name}. Name it in a file, and give that with --about.")
    tiles = tiles_at_hand(place.roots, said)
    _say_lacking(tiles, said)
    make_folder(place.out)
    if not (place.out / CATALOGUE).is_file():
        write_changed(place.out / CATALOGUE, json_bytes({}))  # so that one that was killed is known for what it is
    lock = place.out.absolute().parent / f".{place.out.absolute().name}.lock"
    with exclusive_lock(lock, timeout_s=0), spread_over_cores(wanted.workers) as spread:
        (place.out / checksums.FILE).unlink(missing_ok=True)  # what is half done must not look whole
        slumps = judged_slumps(place.inventory)
        if slumps.empty:
            raise ConfigError(f"{place.inventory} has no slumps, so there is nothing to publish.")
        what = _data(place, wanted, slumps, Made(said=said, about=about, tiles=tiles, scores=scores), spread)
        _told(place, wanted, slumps, what, spread)
        checksums.write_checksums(place.out)
    say(f"Catalogue: {place.out}")


def _check_out(inventory: Path, out: Path) -> None:
    """Refuse a folder that is no place for a catalogue.

    Raises:
        ConfigError: If it has other things in it, or is the inventory.
    """
    check_writable(out)
    if out.absolute() == inventory.absolute() or inventory.absolute().is_relative_to(out.absolute()):
        raise ConfigError(f"the inventory lies in {out}. Give the catalogue a folder of its own.")
    if out.is_dir() and any(one.name[0] != "." for one in out.iterdir()) and not _is_own(out):
        raise ConfigError(f"{out} has other things in it than a catalogue. Give a folder of its own with --out.")


def _is_own(folder: Path) -> bool:
    """Tell whether a catalogue was written to a folder, or begun: in another one files of others would be removed."""
    try:
        root = json.loads((folder / CATALOGUE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(root, dict) and (root == {} or OURS in root)


def _say_lacking(tiles: Sequence[MappedTile], said: Said) -> None:
    lacking = {image for image, _ in said.counted.images} - {tile.facts.image_id for tile in tiles}
    if lacking:
        note(f"Of {counted(len(lacking), 'image')} no tile is at hand: they are in the inventory, but not in mosaics.")


@dataclass(frozen=True, kw_only=True)
class Made:
    """What is known before anything is written."""

    said: Said
    about: About
    tiles: Sequence[MappedTile]
    scores: Any
    """Of an evaluation, None without one."""


def _data(place: Place, wanted: Wanted, slumps: gpd.GeoDataFrame, made: Made, spread: Spread) -> Published:
    """Write inventory, layers, mosaics and models, and return what is published."""
    inventory, out = place.inventory, place.out
    copy_inventory(inventory, out)
    write_vectors(inventory, out, slumps, read_part(inventory, "tracks"))
    models, ensembles = models_of(made.tiles)
    looks = read_part(inventory, "looks", ["image_id", "year", "geometry"])
    return Published(
        about=made.about,
        said=made.said,
        tiles=made.tiles,
        scores=made.scores,
        models=models,
        credit=credits_of(made.tiles, made.said),
        mosaics=_mosaics(made.tiles, out / MOSAICS, wanted.mosaic, spread),
        looks=looks,
        reviewers=_reviewers(inventory),
        box=box_of((looks if len(looks) else slumps).geometry.bounds.to_numpy()),
        catalogue=out,
        copied=copy_models(models, ensembles, out, wanted=wanted.models),
    )


def _told(place: Place, wanted: Wanted, slumps: gpd.GeoDataFrame, what: Published, spread: Spread) -> None:
    """Write all that tells of the data: map, project, texts, metadata."""
    inventory, out = place.inventory, place.out
    for credit in what.credit:
        if credit.caution is not None:
            note(credit.caution)
    tracks = read_part(inventory, "tracks")
    pictures = write_pictures(inventory, out, place.roots, slumps, place.data, most=wanted.pictures)
    _write_map(what, inventory, slumps, pictures)
    write_qgis(what)
    figures = figures_of(inventory, slumps, tracks, _seen_km2(inventory, what.said, spread), what.scores)
    for name in figures.earlier:
        note(f"The figures of the review {name} are of an earlier map, and not told: run `darts inventory verdicts`.")
    write_texts(what, figures, int(tracks["merged_into"].isna().sum()))
    write_changed(out / datacite.FILE, json_bytes(datacite_document(datacite_facts(what))))
    write_changed(out / provenance.FILE, json_bytes(provenance_document(provenance_facts(what))))
    stac = write_stac(out, catalogue_facts(what), map_tiles(what), model_files(what))
    n_mosaics, n_models = counted(len(what.mosaics), "mosaic tile"), counted(len(what.models), "model")
    say(f"{counted(len(slumps), 'row')} of slumps, {n_mosaics}, {n_models}")
    say(f"STAC: {len(stac.changed)} changed, {len(stac.kept)} as they were, {len(stac.removed)} removed")


def _mosaics(tiles: Sequence[MappedTile], folder: Path, kind: str, spread: Spread) -> list[MosaicTile]:
    """Write the mosaics of all tiles that have probabilities."""
    files = [(tile, tile.facts.folder / PROBABILITIES) for tile in tiles]
    looks = [Look(tile.facts.image_id, tile.facts.year, file) for tile, file in files if file.is_file()]
    if lacking := len(files) - len(looks):
        note(f"{counted(lacking, 'tile')} without {PROBABILITIES}: not in mosaics.")
    wanted = looks if kind != "none" else []
    if not wanted and not folder.is_dir():
        return []
    return write_mosaics(wanted, folder, _grid(wanted, kind), spread=spread)


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


def _write_map(what: Published, inventory: Path, slumps: gpd.GeoDataFrame, pictures: Mapping[str, str]) -> None:
    """Write the vector tiles and the page over them; links are to what the catalogue has."""
    status = read_part(inventory, "tracks").drop(columns="geometry")[["slump_id", "status"]]
    with_status = slumps.merge(status, how="left", on="slump_id")
    replace_changed(what.catalogue / TILES, lambda file: write_pmtiles(file, with_status))
    about, (first, last) = what.about, what.years
    words = Words(
        title=about.title,
        about=about.description or f"Retrogressive thaw slumps, {first} to {last}, mapped from satellite images.",
        attribution=[f"Licence: {about.licence}", *(one.words for one in what.credit)],
        links=_LINKS,
    )
    write_map(what.catalogue, inventory, slumps, words, pictures=pictures)
