"""Verdicts brought into an inventory, and what is said of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts.inventory.layers import read_part
from darts.review.begin import check_is_of
from darts.review.given_back import read_given_back
from darts.review.store import Review
from darts.review.telling import labels_line, print_figures, show_figures
from darts.utils.terminal import note, notes_aside
from darts_postprocessing.inventory.plane import LONGLAT_CRS, PLANE_CRS, to_degrees, to_plane
from darts_postprocessing.inventory.said import inventory_in, read_said
from darts_postprocessing.review.carrying import in_plane
from darts_postprocessing.review.frames import Frame
from darts_postprocessing.review.labels import labels_of
from darts_postprocessing.review.told import figures_in, told_again, told_of, write_figures
from darts_postprocessing.review.verdicts import (
    FOLDER,
    REVIEW,
    drop_verdicts,
    final_verdicts,
    of_this_map,
    write_verdicts,
)
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file, exclusive_lock, make_folder
from darts_utils.machine.outputs import check_writable, writing
from darts_utils.paths import user_path
from darts_utils.text import counted

_COLUMNS = [
    "review", "question", "slump_id", "year", "verdict", "reviewer", "reviewed_at", "first_at", "note", "edited",
    "weight", "batch", "repeat_of",
]  # fmt: skip


def bring(
    inventory: Path, files: Sequence[Path], *, review_file: Path | None, labels_dir: Path | None, as_json: bool
) -> None:
    """Bring verdicts into an inventory, see `darts.inventory.judging.bring_verdicts`."""
    inventory = inventory_in(user_path(inventory), to_change=True)
    read_said(inventory)
    check_writable(inventory)
    review = _review_of(inventory, review_file, files)
    if labels_dir is not None:
        check_writable(user_path(labels_dir))
    with notes_aside(as_json):
        slumps = read_part(inventory, "slumps", ["slump_id", "year", "tier", "area_m2", "geometry"])
        if review is not None:
            _add(review, files, slumps)
        with exclusive_lock(inventory / ".lock", timeout_s=0):
            figures = _kept(inventory, review, slumps)
        if labels_dir is not None and (inventory / FOLDER).is_dir():
            _write_labels(inventory, user_path(labels_dir), slumps)
    (print_figures if as_json else show_figures)(figures)


def _review_of(inventory: Path, review_file: Path | None, files: Sequence[Path]) -> Review | None:
    """Return the review whose verdicts are brought; None if the inventory has verdicts alone, from wherever."""
    review = Review(inventory / REVIEW if review_file is None else user_path(review_file))
    brings_nothing = review_file is None and not files
    if brings_nothing and not review.file.exists() and (inventory / FOLDER).is_dir():
        return None
    if not brings_nothing:
        check_is_of(review, inventory)
    return review


def _add(review: Review, files: Sequence[Path], slumps: gpd.GeoDataFrame) -> None:
    outlines = dict(zip(zip(slumps["slump_id"], slumps["year"].tolist(), strict=True), slumps.geometry, strict=True))

    def frame_of(number: int) -> Frame | None:
        question = review.question(number)
        outline = None if question is None else outlines.get((question.slump_id, question.year))
        return None if outline is None else Frame.around(outline)

    given = [one for file in files for one in read_given_back(user_path(file), review.id, frame_of)]
    n_new = review.add(given)
    if files:
        note(f"New or changed: {counted(n_new, 'verdict')} of {counted(len(files), 'file')}.")


def _kept(inventory: Path, review: Review | None, slumps: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Write the verdicts of a review into an inventory, and return the figures of that review, or of all if None.

    What an inventory has of other reviews stays, but for verdicts on slumps that are gone.

    Raises:
        ConfigError: If there are no verdicts, neither new ones nor some to be removed.
    """
    own_id = "" if review is None else review.id
    there = (inventory / FOLDER).is_dir()
    before = [in_plane(read_part(inventory, FOLDER))] if there else []
    others = [_there(one[one["review"] != own_id], slumps) for one in before]
    own = [] if review is None else [_table(review, slumps)]
    every = pd.concat([*others, *own], ignore_index=True)
    if every.empty and not there:
        raise ConfigError(
            f"{'' if review is None else review.file} has no verdicts on slumps of {inventory}. Review some first."
        )
    told = [] if review is None else [_told_of_own(review, own[0], slumps)]
    known = [one for one in figures_in(inventory) if one["review"] != own_id]
    of_others = [(one, every[every["review"] == one["review"]]) for one in known]
    again = [told_again(one, rows, slumps) for one, rows in of_others if len(rows)]
    if every.empty:
        drop_verdicts(inventory)
        note("No verdict is on a slump of the inventory any more; it has none now.")
    else:
        write_verdicts(inventory, gpd.GeoDataFrame(every, crs=EQUAL_AREA))
    write_figures(inventory, [*again, *(one for one in told if one["answered"])])
    return told or again


def _told_of_own(review: Review, own: gpd.GeoDataFrame, slumps: gpd.GeoDataFrame) -> dict[str, Any]:
    chosen = {name: value for name, value in review.about.items() if name in ("plan", "year", "seed")}
    return told_of({"review": review.id, **chosen}, own, review.still_open(), slumps)


def _there(verdicts: pd.DataFrame, slumps: gpd.GeoDataFrame) -> pd.DataFrame:
    """Return the verdicts on slumps that are there, and say how many are not."""
    found = of_this_map(verdicts, slumps)
    if n_gone := len(verdicts) - len(found):
        note(f"{counted(n_gone, 'verdict')} on slumps that are not in the inventory any more: left out.")
    return found


def _table(review: Review, slumps: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the verdicts of a review on slumps that are there, with the outlines that people left, in the plane."""
    said = _there(review.verdicts(), slumps)
    known = said.merge(pd.DataFrame(slumps)[["slump_id", "year", "geometry"]], how="left", on=["slump_id", "year"])
    edited = known["outline"].notna().to_numpy()
    drawn = shapely.from_wkt(known["outline"].astype(object).where(edited, None).to_numpy())
    outlines = np.where(edited, drawn, known["geometry"].to_numpy(dtype=object))
    table = known.assign(review=review.id, edited=edited)[_COLUMNS].astype({"year": slumps["year"].dtype})
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(to_plane(outlines, LONGLAT_CRS), crs=PLANE_CRS))


def _write_labels(inventory: Path, labels_dir: Path, slumps: gpd.GeoDataFrame) -> None:
    """Write labels and footprints of all verdicts that count."""
    looks = read_part(inventory, "looks", ["image_id", "acquired", "year", "sensor", "geometry"])
    objects = read_part(inventory, "objects", ["image_id", "geometry"])
    final = final_verdicts(read_part(inventory, FOLDER))
    labels, footprints = labels_of(*(in_plane(one) for one in (gpd.GeoDataFrame(final), slumps, looks, objects)))
    folder = labels_dir / "review"
    make_folder(folder)
    for name, layer in (("TrainingLabels", labels), ("ImageFootprints", footprints)):
        shapes = gpd.GeoSeries(to_degrees(layer.geometry.to_numpy()), index=layer.index, crs=LONGLAT_CRS)
        with writing(folder), atomic_file(folder / f"{name}_review.gpkg") as part:
            layer.set_geometry(shapes).to_file(part, driver="GPKG", layer=name, engine="pyogrio")
    note(f"{labels_line(final, labels, len(footprints))}: {folder}")
