"""Which slumps of an inventory are asked about, written down as a review."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe

import geopandas as gpd
import numpy as np
import pandas as pd

from darts.inventory.layers import read_part
from darts.review.places import Asked
from darts.review.store import Review
from darts.utils.terminal import note, say
from darts_postprocessing.inventory.plane import LONGLAT_CRS, centroids, to_plane
from darts_postprocessing.inventory.published import keep_ids
from darts_postprocessing.review.sampling import everything, in_order, stratified, with_repeats
from darts_postprocessing.review.verdicts import REVIEW
from darts_utils.errors import ConfigError
from darts_utils.text import counted

_SEED = 42
_ASKED = ["slump_id", "year", "batch", "weight", "repeat_of"]
_LEAST_SHARE = 0.05
"""Of the slumps of a review that its inventory has, whatever was built anew."""
_MOVING = frozenset({"active", "stabilised"})


def review_of(inventory: Path, file: Path | None, asked: Asked) -> Review:
    """Return the review of an inventory, begun if it is not there.

    Args:
        inventory: Its folder.
        file: The file of the review; `review.sqlite` in the inventory if not given.
        asked: Which slumps, in which order.

    Raises:
        ConfigError: If a review that is there was begun otherwise, or there is nothing to be asked.
    """
    review = Review(inventory / REVIEW if file is None else file)
    if review.file.exists():
        _check_same(review, {name: str(value) for name, value in vars(asked).items() if value is not None})
        check_is_of(review, inventory)
        return review
    plan, seed = asked.plan or "all", _SEED if asked.seed is None else asked.seed
    slumps = PLANS[plan](inventory, _seen(inventory, asked.year), seed)
    if slumps.empty:
        raise ConfigError(f"there is nothing to review in {inventory}: no slump is of this plan and year.")
    questions = with_repeats(in_order(slumps, seed=seed), seed=seed)
    keep_ids(inventory, read_part(inventory, "slumps", ["slump_id", "year", "geometry"]))
    about = {"plan": plan, "seed": str(seed), "year": "" if asked.year is None else str(asked.year)}
    review.begin(questions[_ASKED], {**about, "token": token_urlsafe(16)})
    n_twice = len(questions) - len(slumps)
    batches = counted(int(questions["batch"].max()) + 1, "batch")
    say(f"Review of {counted(len(slumps), 'slump')} in {batches}, {n_twice} of them asked twice: {review.file}")
    return review


def check_is_of(review: Review, inventory: Path) -> None:
    """Refuse a review of another inventory: what it asks about is nowhere in this one.

    Raises:
        ConfigError: If it is.
    """
    slump_ids = set(read_part(inventory, "slumps", ["slump_id", "geometry"])["slump_id"])
    if review.share_in(slump_ids) < _LEAST_SHARE:
        raise ConfigError(
            f"{review.file} is a review of another inventory, or of one that gave up its ids: {inventory} has hardly "
            "any of its slumps. Name the inventory that it is of, or another file with --review-file."
        )


def limited_to(review: Review, slumps: frozenset[tuple[str, int]]) -> Review:
    """Return a review that asks only about slumps and years that an inventory has, and say of how many it does not.

    Raises:
        ConfigError: If it has none of them.
    """
    found = replace(review, there=slumps)
    n_all, n_there = (one.counts()["asked"] for one in (review, found))
    if not n_there:
        raise ConfigError(
            f"none of the {counted(n_all, 'question')} of {review.file} is about a slump and year that the inventory "
            "has now. Build it with the years that it had, or name another file with --review-file to begin again."
        )
    if n_all > n_there:
        note(f"Left out until their slumps are in the inventory again: {counted(n_all - n_there, 'question')}.")
    return found


def _check_same(review: Review, asked: Mapping[str, str]) -> None:
    """Refuse to go on with a review that was begun otherwise.

    Raises:
        ConfigError: If it was; the message says how.
    """
    about = review.about
    for name, value in asked.items():
        if about.get(name) != value:
            raise ConfigError(
                f"{review.file} was begun with {name} {about.get(name) or 'not given'}, not {value}. "
                "Leave it out to go on, or name another file with --review-file."
            )


def _seen(inventory: Path, year: int | None) -> gpd.GeoDataFrame:
    """Return slumps as they are in a year, or in their last one, with the `longitude` of their middle."""
    table = read_part(inventory, "slumps")
    if year is None:
        table = table.sort_values(["slump_id", "year"], kind="stable").drop_duplicates("slump_id", keep="last")
    elif year not in set(table["year"]):
        years = ", ".join(map(str, sorted(set(table["year"]))))
        raise ConfigError(f"{inventory} has no slumps of {year}, but of {years or 'no year'}.")
    else:
        table = table[table["year"] == year]
    longitudes, _ = centroids(to_plane(table.geometry.to_numpy(), LONGLAT_CRS))
    return table.assign(longitude=longitudes).reset_index(drop=True)


def _all(_: Path, slumps: gpd.GeoDataFrame, __: int) -> pd.DataFrame:
    return everything(slumps)


def _sample(_: Path, slumps: gpd.GeoDataFrame, seed: int) -> pd.DataFrame:
    return stratified(slumps, seed=seed)


def _changed(inventory: Path, slumps: gpd.GeoDataFrame, _: int) -> pd.DataFrame:
    """Return slumps that are not what they were: active or stabilised, new, or of others that merged or split."""
    tracks = read_part(
        inventory, "tracks", ["slump_id", "first_year", "status", "split_from", "merged_into", "geometry"]
    )
    years = read_part(inventory, "looks", ["year", "geometry"])["year"]
    is_changed = (
        tracks["status"].isin(_MOVING)
        | (tracks["first_year"] > (years.min() if len(years) else np.inf))
        | tracks["split_from"].notna()
        | tracks["merged_into"].notna()
        | tracks["slump_id"].isin(tracks["merged_into"])
    )
    return everything(slumps[slumps["slump_id"].isin(tracks.loc[is_changed, "slump_id"])])


PLANS: Mapping[str, Callable[[Path, gpd.GeoDataFrame, int], pd.DataFrame]] = {
    "all": _all,
    "sample": _sample,
    "changed": _changed,
}
