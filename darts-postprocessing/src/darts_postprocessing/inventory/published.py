"""Slumps that have been published or reviewed: whatever an inventory is made of later, they keep their ids."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from darts_postprocessing.inventory.parts import Part, note_all
from darts_postprocessing.inventory.plane import PLANE_CRS, to_plane
from darts_postprocessing.inventory.tracks import Published
from darts_utils.errors import DataError

_NEEDED = ("slump_id", "year")
_KEPT = ".parts/published.parquet"
_LAST_YEAR = 9999


def published_of(table: gpd.GeoDataFrame, name: str) -> Published:
    """Return the slumps of a layer, by their ids and years.

    Args:
        table: Outlines in any CRS with `slump_id` and `year`, such as level 2 of an inventory.
        name: What the layer is, for messages.

    Raises:
        DataError: If it has no such columns, a row lacks one of them, a year is no whole number, or the layer does not
            say its coordinates.
    """
    lacking = [column for column in _NEEDED if column not in table or table[column].isna().any()]
    if lacking or table.crs is None:
        raise DataError(
            f"{name} lacks {', '.join(lacking) or 'a CRS'}. Give an inventory of DARTS, or a file of its slumps."
        )
    years = whole_years(table, name).to_numpy(dtype=np.int64)
    order = np.lexsort((years, table["slump_id"].to_numpy(dtype=str)))
    try:
        outlines = to_plane(table.geometry.to_numpy()[order], table.crs)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return Published(
        ids=table["slump_id"].to_numpy(dtype=str)[order].astype(object),
        years=years[order],
        outlines=outlines,
    )


def keep_published(out: Path, published: Published | None) -> None:
    """Remember slumps whose ids are kept, so that slumps and tracks that are made again keep them."""
    part = Part(out, _KEPT)
    if published is None:
        part.file.unlink(missing_ok=True)
        return
    columns = {"slump_id": published.ids.astype(str), "year": published.years}
    part.write(gpd.GeoDataFrame(columns, geometry=published.outlines, crs=PLANE_CRS), "")


def keep_ids(inventory: Path, slumps: gpd.GeoDataFrame) -> None:
    """Let whatever is made of an inventory later keep the ids that its slumps have now, and those that it kept before.

    Args:
        inventory: Its folder.
        slumps: All of its slumps: outlines with `slump_id` and `year`.
    """
    note_all(inventory)
    now, before = published_of(slumps, str(inventory)), kept_published(inventory)
    if before is not None:
        there = set(zip(now.ids, now.years, strict=True))
        gone = [one not in there for one in zip(before.ids, before.years, strict=True)]
        both = zip((now.ids, now.years, now.outlines), (before.ids, before.years, before.outlines), strict=True)
        ids, years, outlines = (np.concatenate([new, old[gone]]) for new, old in both)
        now = Published(ids=ids, years=years, outlines=outlines)
    keep_published(inventory, now)


def kept_published(out: Path) -> Published | None:
    """Return the slumps whose ids an inventory keeps, None if there are none.

    Raises:
        DataError: If what is remembered of them is damaged.
    """
    part = Part(out, _KEPT)
    if not part.file.is_file():
        return None
    table = part.read()
    return Published(
        ids=table["slump_id"].to_numpy(dtype=object),
        years=table["year"].to_numpy(dtype=np.int64),
        outlines=table.geometry.to_numpy(),
    )


def whole_years(table: pd.DataFrame, name: str) -> pd.Series:
    """Return the column `year` of a layer as Int64, null where it is.

    Args:
        table: The layer; numbers may be written as text.
        name: What it is, for messages.

    Raises:
        DataError: If one is no whole number from 0 to 9999.
    """
    given = table["year"]
    is_known = given.notna()
    numbers = pd.to_numeric(given.where(is_known).astype("string"), errors="coerce").astype("Float64")
    is_year = numbers.between(0, _LAST_YEAR) & (numbers % 1 == 0)
    wrong = given[is_known & ~is_year.fillna(value=False)]
    if len(wrong):
        raise DataError(
            f"{name} has the year {wrong.iloc[0]}, but years must be whole numbers, such as 2024. Correct the column."
        )
    return numbers.astype("Int64")
