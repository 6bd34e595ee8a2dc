"""Verdicts brought into an inventory, and what is said of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from darts.inventory.layers import read_part
from darts.review.given_back import read_given_back
from darts.review.store import Review
from darts.review.telling import print_figures, show_figures, without_nan
from darts.utils.terminal import note, notes_aside
from darts_postprocessing.inventory.plane import LONGLAT_CRS, PLANE_CRS, to_degrees, to_plane
from darts_postprocessing.inventory.said import inventory_in, read_said
from darts_postprocessing.review.labels import labels_of
from darts_postprocessing.review.verdicts import FIGURES, FOLDER, REVIEW, final_verdicts, review_figures, write_verdicts
from darts_utils.crs import EQUAL_AREA
from darts_utils.errors import ConfigError, DataError, one_line
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
    review = Review(inventory / REVIEW if review_file is None else user_path(review_file))
    if labels_dir is not None:
        check_writable(user_path(labels_dir))
    with notes_aside(as_json):
        given = [one for file in files for one in read_given_back(user_path(file), review.id)]
        n_new = review.add(given)
        if files:
            note(f"New or changed: {counted(n_new, 'verdict')} of {counted(len(files), 'file')}.")
        slumps = read_part(inventory, "slumps", ["slump_id", "year", "tier", "area_m2", "geometry"])
        with exclusive_lock(inventory / ".lock", timeout_s=0):
            figures = _kept(inventory, review, slumps)
        if labels_dir is not None:
            _write_labels(inventory, user_path(labels_dir), slumps)
    (print_figures if as_json else show_figures)(figures)


def _kept(inventory: Path, review: Review, slumps: gpd.GeoDataFrame) -> dict[str, Any]:
    """Write the verdicts of a review into an inventory, and return its figures.

    Raises:
        ConfigError: If there are none.
    """
    own = _table(review, slumps)
    if own.empty:
        raise ConfigError(f"{review.file} has no verdicts on slumps of {inventory}. Review some first.")
    there = inventory / FOLDER
    before = [read_part(inventory, FOLDER)] if there.is_dir() else []
    others = [_in_plane(one[one["review"] != review.id]) for one in before]
    every = gpd.GeoDataFrame(pd.concat([*others, own], ignore_index=True), crs=EQUAL_AREA)
    write_verdicts(inventory, every)
    about = {name: value for name, value in review.about.items() if name in ("plan", "year", "seed")}
    still_open = review.still_open().merge(pd.DataFrame(slumps)[["slump_id", "year"]], how="inner")
    figures = {"review": review.id, **about, **review_figures(own, still_open, slumps)}
    _write_figures(inventory, figures)
    return figures


def _in_plane(verdicts: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return verdicts.set_geometry(
        gpd.GeoSeries(to_plane(verdicts.geometry.to_numpy(), LONGLAT_CRS), crs=PLANE_CRS, index=verdicts.index)
    )


def _table(review: Review, slumps: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the verdicts of a review on slumps that are there, with the outlines that people left, in the plane."""
    said = review.verdicts()
    there = said.merge(pd.DataFrame(slumps)[["slump_id", "year", "geometry"]], how="inner", on=["slump_id", "year"])
    if n_gone := len(said) - len(there):
        note(f"{counted(n_gone, 'verdict')} on slumps that are not in the inventory any more are left out.")
    edited = there["outline"].notna().to_numpy()
    drawn = shapely.from_wkt(there["outline"].astype(object).where(edited, None).to_numpy())
    outlines = np.where(edited, drawn, there["geometry"].to_numpy(dtype=object))
    table = there.assign(review=review.id, edited=edited)[_COLUMNS].astype({"year": slumps["year"].dtype})
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(to_plane(outlines, LONGLAT_CRS), crs=PLANE_CRS))


def _write_figures(inventory: Path, figures: Mapping[str, Any]) -> None:
    """Write the figures of a review beside those of others, in the order of their ids."""
    file = inventory / FIGURES
    others = _figures_in(file) if file.is_file() else []
    every = sorted(
        [*(one for one in others if one["review"] != figures["review"]), figures], key=lambda one: one["review"]
    )
    with atomic_file(file) as part:
        part.write_text(json.dumps(without_nan(every), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _figures_in(file: Path) -> list[dict[str, Any]]:
    """Return the figures of reviews that were written before.

    Raises:
        DataError: If they cannot be read.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return [{**one, "review": str(one["review"])} for one in found]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{file} cannot be read ({one_line(error, 120)}). Delete it; it is made again.") from error


def _write_labels(inventory: Path, labels_dir: Path, slumps: gpd.GeoDataFrame) -> None:
    """Write labels and footprints of all verdicts that count."""
    looks = read_part(inventory, "looks", ["image_id", "acquired", "year", "sensor", "geometry"])
    objects = read_part(inventory, "objects", ["image_id", "geometry"])
    final = final_verdicts(read_part(inventory, FOLDER))
    labels, footprints = labels_of(*(_in_plane(one) for one in (gpd.GeoDataFrame(final), slumps, looks, objects)))
    folder = labels_dir / "review"
    make_folder(folder)
    for name, layer in (("TrainingLabels", labels), ("ImageFootprints", footprints)):
        shapes = gpd.GeoSeries(to_degrees(layer.geometry.to_numpy()), index=layer.index, crs=LONGLAT_CRS)
        with writing(folder), atomic_file(folder / f"{name}_review.gpkg") as part:
            layer.set_geometry(shapes).to_file(part, driver="GPKG", layer=name, engine="pyogrio")
    n_not, images = int((final["verdict"] == "not").sum()), counted(len(footprints), "image")
    note(f"{counted(len(labels), 'label')} and {n_not} that are no slump, on {images}: {folder}")
