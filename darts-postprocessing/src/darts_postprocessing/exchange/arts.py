"""Slumps to and from the schema of ARTS, the community's data set of slumps."""

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from darts_postprocessing.exchange.arts_check import check_arts, is_near, unreadable
from darts_postprocessing.exchange.arts_relations import related
from darts_postprocessing.exchange.arts_schema import (
    CLASSES,
    COLUMNS,
    CRSES,
    RELATIONS,
    REQUIRED,
    date_text,
    days_of,
    degrees_text,
    is_day,
    texts_of,
    uid_of,
)
from darts_postprocessing.exchange.contribution import Contribution
from darts_postprocessing.exchange.places import DEGREES, centroids, outlines_in
from darts_utils.errors import ConfigError, DataError
from darts_utils.objects.geodesy import ground_areas_m2

__all__ = ["check_arts", "from_arts", "to_arts"]

RENAMED = {
    "UID": "arts_uid",
    "TrainClass": "train_class",
    "RegionName": "region",
    "CreatorLab": "creator",
    "BaseMapSource": "source",
    "BaseMapResolution": "resolution_m",
}
"""What DARTS calls columns of ARTS; a BaseMapDate is two columns, and all others keep their names."""
_NUMBERS = ("BaseMapResolution", "Area")
_M2_PER_KM2 = 1e6


def to_arts(
    slumps: gpd.GeoDataFrame,
    contribution: Contribution,
    *,
    earlier: pd.DataFrame | None = None,
    crs: str = DEGREES,
) -> gpd.GeoDataFrame:
    """Return slumps in the ARTS schema, checked.

    Rows that came from ARTS (`arts_uid`) keep what they tell: the contribution fills in only what they do not. Their
    UIDs are made anew, of the same values the same, and relations to one that changed follow it.

    Args:
        slumps: Level 2 of one year: outlines in any CRS, with `first_acquired last_acquired` text, YYYY-MM-DD. Used
            where there: `slump_id`, `area_m2`, and of the tracks `merged_into split_from status`.
        contribution: Who made them, of what, and when: what holds of all rows.
        earlier: What was exported of earlier years, for the relations to it: `slump_id UID`, later years last, and
            `merged_into` where slumps ended in others. The rows returned are those of `slumps`, so their `UID` beside
            the `slump_id` of `slumps` makes such a table.
        crs: EPSG:4326, cut along the antimeridian, or EPSG:3413.

    Returns:
        Rows and index of `slumps`, with

        - `CentroidLat CentroidLon` text, `str(round(x, 5))` of the centroid on the ground, in degrees;
        - `RegionName CreatorLab BaseMapSource TrainClass LabelType` text; `BaseMapResolution` float64, metres;
        - `BaseMapDate` text, the day of the images, or the first and the last one with a comma;
        - `MergedRTS SplitRTS NewRTS StabilizedRTS UnknownRelationship` text, UIDs with commas between them, empty where
          there are none (see `darts_postprocessing.exchange.arts_relations`);
        - `ContributionDate` text; `UID` text, uuid5 of the required values;
        - `BaseMapID` text, empty where unknown; `Area` float64, square kilometres, as in the paper of ARTS; `Notes`
          text, the `slump_id` and `status`, and relations to slumps whose UID is not known;
        - the outlines. Columns of no such name are left out.

    Raises:
        ConfigError: If an argument is not of this kind.
        DataError: If days, outlines or a CRS are missing, rows are of several years, or the result is no ARTS layer,
            such as for two slumps with one centroid.
    """
    given = contribution.values()
    _check_given(given, crs)
    _check_slumps(slumps)
    shapes = slumps.geometry.to_numpy()
    values = {name: _told(slumps, RENAMED.get(name, name), value) for name, value in given.items()}
    values["BaseMapResolution"] = values["BaseMapResolution"].astype(np.float64)
    values |= _centroids(slumps)
    first, last = texts_of(slumps["first_acquired"]), texts_of(slumps["last_acquired"])
    values["BaseMapDate"] = pd.Series(list(map(date_text, first, last)), index=slumps.index, dtype=object)
    values["UID"] = _uids(values)
    relations, untold = related(slumps, values["UID"].tolist(), earlier)
    values |= relations | _optional(slumps, untold)
    columns = {name: values[name] if name in _NUMBERS else _as_text(values[name]) for name in COLUMNS}
    frame = gpd.GeoDataFrame(columns, geometry=outlines_in(crs, shapes, slumps.crs), crs=crs, index=slumps.index)
    _refuse(check_arts(frame), "these slumps make no layer of ARTS")
    return frame


def from_arts(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a layer of the ARTS schema with the columns of DARTS.

    Args:
        frame: The layer, in any CRS, such as published ones are: EPSG:3413, coordinates with 8 decimals, numbers or
            text. It may lack the columns that ARTS generates. What `check_arts` finds beyond `unreadable` is no
            hindrance.

    Returns:
        Its rows and index, with

        - `arts_uid` text, null where the layer has none;
        - `train_class region` text; `first_acquired last_acquired` text, YYYY-MM-DD; `creator source` text;
        - `resolution_m` float64, metres; `area_m2` float64, square metres on the ground, geodesic on WGS84;
        - `MergedRTS SplitRTS NewRTS StabilizedRTS UnknownRelationship` text, UIDs with commas, empty where none;
        - all other columns under their names and as they were, so that `to_arts` makes the same of them; of a name
          that is one of these, not;
        - the outlines in EPSG:4326, valid, those across the antimeridian cut along it.

    Raises:
        DataError: If `unreadable` finds something.
    """
    _refuse(unreadable(frame), "this is no layer of ARTS")
    shapes = outlines_in(DEGREES, frame.geometry.to_numpy(), frame.crs)
    days = np.array([days_of(text) for text in texts_of(frame["BaseMapDate"])], dtype=object).reshape(-1, 2)
    columns = {ours: frame.get(theirs) for theirs, ours in RENAMED.items()}
    columns |= {"first_acquired": days[:, 0], "last_acquired": days[:, 1]}
    columns["resolution_m"] = frame["BaseMapResolution"].astype(np.float64)
    columns["area_m2"] = ground_areas_m2(shapes, DEGREES)
    columns |= {name: texts_of(frame[name]) if name in frame else "" for name in RELATIONS}
    gone = {*RENAMED, "BaseMapDate", frame.active_geometry_name, *columns}
    others = {name: frame[name] for name in frame.columns if name not in gone}
    return gpd.GeoDataFrame(pd.DataFrame(columns | others, index=frame.index), geometry=shapes, crs=DEGREES)


def _check_given(given: dict[str, Any], crs: str) -> None:
    for name, value in given.items():
        if name != "BaseMapResolution" and not str(value).strip():
            raise ConfigError(f"{name} is empty, but ARTS asks for it. Give it.")
    resolution = given["BaseMapResolution"]
    if isinstance(resolution, bool) or not isinstance(resolution, int | float) or not 0 < resolution < float("inf"):
        raise ConfigError(f"BaseMapResolution is {resolution!r}, but must be a number above 0. Give metres.")
    if given["TrainClass"] not in CLASSES:
        raise ConfigError(f"TrainClass is {given['TrainClass']!r}, but ARTS knows {' and '.join(CLASSES)}. Use one.")
    if not is_day(given["ContributionDate"]):
        raise ConfigError(f"ContributionDate is {given['ContributionDate']!r}, but must be a day. Give YYYY-MM-DD.")
    if crs not in CRSES:
        raise ConfigError(f"the CRS is {crs!r}, but ARTS layers are in {' or '.join(CRSES)}. Use one of them.")


def _check_slumps(slumps: gpd.GeoDataFrame) -> None:
    if missing := [name for name in ("first_acquired", "last_acquired") if name not in slumps]:
        raise DataError(f"the slumps have no column {' and no '.join(missing)}. Give level 2 of an inventory.")
    if slumps.active_geometry_name is None or slumps.crs is None:
        raise DataError("the slumps have no outlines, or no CRS. Give level 2 of an inventory.")
    years = sorted(slumps["year"].dropna().unique().tolist()) if "year" in slumps else []
    if len(years) > 1:
        raise DataError(f"the slumps are of several years ({', '.join(map(str, years))}). Export one year at a time.")


def _told(slumps: gpd.GeoDataFrame, column: str, given: Any) -> pd.Series:
    """Return a value for all rows, or what rows that came from ARTS tell themselves."""
    result = pd.Series([given] * len(slumps), index=slumps.index, dtype=object)
    if "arts_uid" in slumps and column in slumps:
        own = (slumps["arts_uid"].notna() & slumps[column].notna()).to_numpy()
        result[own] = slumps[column].astype(object)[own]
    return result


def _centroids(slumps: gpd.GeoDataFrame) -> dict[str, pd.Series]:
    """Return CentroidLat and CentroidLon as text; those that came from ARTS stay if they are still near."""
    shapes = slumps.geometry.to_numpy()
    points = centroids(shapes, slumps.crs)
    told = np.column_stack(
        [
            pd.to_numeric(_told(slumps, name, np.nan), errors="coerce").to_numpy(dtype=np.float64)
            for name in ("CentroidLon", "CentroidLat")
        ]
    )
    own = np.flatnonzero(np.isfinite(told).all(axis=1) & np.isfinite(points).all(axis=1))
    own = own[is_near(told[own], shapes[own], slumps.crs)]
    points[own] = told[own]
    texts = [[degrees_text(value) for value in values] for values in points.T.tolist()]
    return {
        name: pd.Series(column, index=slumps.index, dtype=object)
        for name, column in zip(("CentroidLon", "CentroidLat"), texts, strict=True)
    }


def _as_text(values: pd.Series) -> pd.Series:
    return pd.Series(texts_of(values), index=values.index, dtype=str)


def _uids(values: dict[str, pd.Series]) -> pd.Series:
    rows = zip(*(values[name].tolist() for name in REQUIRED), strict=True)
    return pd.Series([uid_of(row) for row in rows], index=values["RegionName"].index, dtype=object)


def _optional(slumps: gpd.GeoDataFrame, untold: list[str]) -> dict[str, pd.Series]:
    if "area_m2" in slumps:
        areas = slumps["area_m2"].to_numpy(dtype=np.float64)
    else:
        areas = ground_areas_m2(slumps.geometry.to_numpy(), slumps.crs)
    told = _told(slumps, "Area", np.nan).astype(np.float64)
    notes = pd.Series(untold, index=slumps.index, dtype=object)
    own = _told(slumps, "Notes", None)
    return {
        "BaseMapID": _told(slumps, "BaseMapID", ""),
        "Area": told.fillna(pd.Series(areas / _M2_PER_KM2, index=slumps.index)),
        "Notes": own.where(own.notna(), notes),
    }


def _refuse(faults: list[str], what: str) -> None:
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise DataError(f"{what}: {faults[0]}{more}. Correct these rows, or leave them out.")
