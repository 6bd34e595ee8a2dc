"""Which labels belong to which image: footprints bring them together, and what fits nowhere is said."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import pandas as pd

from darts.training.layers import Layer


@dataclass(frozen=True, kw_only=True)
class Digitised:
    """An image as people looked at it: the ground they searched, and the slumps they drew."""

    image_id: str
    footprint: gpd.GeoSeries
    """One outline in EPSG:4326."""
    labels: gpd.GeoSeries
    """Outlines of slumps in EPSG:4326; none for a negative."""
    date: pd.Timestamp | Any
    """NaT where unknown."""
    datasource: str


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Labels and footprints of images, and what became of every row."""

    images: tuple[Digitised, ...]
    """Ordered by id."""
    labels: Layer
    footprints: Layer
    near_misses: Mapping[str, str] = field(default_factory=dict)
    """Ids that fit nowhere, with the one that was likely meant."""


def join(labels: Layer, footprints: Layer, available: Collection[str] | None = None) -> Joined:
    """Return the images that have a footprint, each with its labels.

    Several footprints of an image are one. Ids must be the same: those that nearly are so are told, never joined.

    Args:
        labels: The labels.
        footprints: The footprints.
        available: Ids of the images that there are, None if any may be had.
    """
    near: dict[str, str] = {}
    if available is not None:
        missing = ~footprints.rows["image_id"].isin(available)
        near |= _near_misses(footprints.rows.loc[missing, "image_id"], available)
        footprints = footprints.drop(missing, "there is no image of this id")
    known = set(footprints.rows["image_id"]) - {""}
    unknown = ~labels.rows["image_id"].isin(known)
    near |= _near_misses(labels.rows.loc[unknown, "image_id"], known)
    labels = labels.drop(unknown, "no footprint has this image_id")
    labels = labels.drop(~labels.rows["image_id"].isin(set(footprints.used["image_id"])), "its footprint is not used")
    merged = _merged(footprints.used)
    labels = labels.drop(_outside(labels.rows, merged), "outside the footprint of its image")
    by_image = {image_id: rows.geometry for image_id, rows in labels.used.groupby("image_id")}
    nothing = gpd.GeoSeries([], crs=labels.rows.crs)
    images = [_digitised(row, by_image.get(row["image_id"], nothing), merged.crs) for _, row in merged.iterrows()]
    return Joined(images=tuple(images), labels=labels, footprints=footprints, near_misses=near)


def _digitised(row: pd.Series, labels: gpd.GeoSeries, crs: Any) -> Digitised:
    footprint = gpd.GeoSeries([row["geometry"]], crs=crs)
    return Digitised(
        image_id=row["image_id"],
        footprint=footprint,
        labels=labels.reset_index(drop=True),
        date=row["date"],
        datasource=row["datasource"],
    )


def _merged(footprints: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a row an image, its footprints united, ordered by id."""
    columns = footprints[["image_id", "date", "datasource", "geometry"]]
    return columns.dissolve(by="image_id", aggfunc="first", as_index=False, sort=True)


def _outside(labels: gpd.GeoDataFrame, footprints: gpd.GeoDataFrame) -> pd.Series:
    """Return (row,) bool, True where a label does not touch the footprint of its image."""
    outlines = footprints.set_index("image_id").geometry
    there = labels["image_id"].isin(outlines.index) & labels.geometry.notna()
    its_own = gpd.GeoSeries(list(outlines.reindex(labels.loc[there, "image_id"])), index=labels.index[there])
    apart = pd.Series(data=False, index=labels.index)
    touching = labels.geometry[there].intersects(its_own.set_crs(labels.crs), align=False)
    apart[there] = ~touching.to_numpy(dtype=bool)
    return apart


def _near_misses(ids: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return for ids that are not known the known one that they nearly are: cut off, longer, or in other letters."""
    by_shape: dict[str, list[str]] = {}
    for one in sorted(known):
        by_shape.setdefault(_shape(one), []).append(one)
    found = {}
    for one in sorted(set(ids) - {""}):
        shape = _shape(one)
        near = [name for other, names in by_shape.items() if _are_near(shape, other) for name in names]
        if near:
            found[one] = " or ".join(near)
    return found


def _shape(image_id: str) -> str:
    return image_id.casefold().replace("-", "").replace(" ", "")


def _are_near(one: str, other: str) -> bool:
    """Tell whether two ids are the same but for one or two characters at the end."""
    short, long = sorted((one, other), key=len)
    return bool(short) and long.startswith(short) and len(long) - len(short) <= 2
