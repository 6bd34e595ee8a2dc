"""Names of columns in Shapefiles, which take no more than ten letters.

The names are fixed, so that they are the same in every file and never cut by chance. Those that are short enough stay;
`SHAPEFILE_NAMES` has the others, of levels 1 and 2, tracks, changes, and ARTS.
"""

from collections.abc import Iterable, Mapping

from darts_utils.errors import DataError

LONGEST = 10
SHAPEFILE_NAMES: Mapping[str, str] = {
    # level 1
    "object_id": "object_id",
    "image_id": "image_id",
    "sensor": "sensor",
    "acquired": "acquired",
    "year": "year",
    "model_ids": "model_ids",
    "area_m2": "area_m2",
    "perimeter_m": "perim_m",
    "centroid_lon": "centr_lon",
    "centroid_lat": "centr_lat",
    "mean_probability": "mean_prob",
    "max_probability": "max_prob",
    "core_probability": "core_prob",
    "area_m2_t30": "area_t30",
    "area_m2_t45": "area_t45",
    "area_m2_t65": "area_t65",
    "area_m2_t80": "area_t80",
    "tier": "tier",
    "cut": "cut",
    "features_missing": "feat_miss",
    "nodata_fraction": "nodata_fr",
    "snow_fraction": "snow_fr",
    "water_fraction": "water_fr",
    "npixel": "npixel",
    # level 2
    "slump_id": "slump_id",
    "seen_fraction": "seen_frac",
    "is_observed": "observed",
    "n_looks": "n_looks",
    "n_hits": "n_hits",
    "agreement": "agreement",
    "first_acquired": "first_acq",
    "last_acquired": "last_acq",
    "area_majority_m2": "area_major",
    "area_low_m2": "area_low",
    "area_high_m2": "area_high",
    # verdicts
    "verdict": "verdict",
    "reviewer": "reviewer",
    "reviewed_at": "reviewed",
    "note": "note",
    # tracks
    "first_year": "first_year",
    "last_year": "last_year",
    "n_years": "n_years",
    "area_first_m2": "area_first",
    "area_last_m2": "area_last",
    "growth_m2_per_year": "growth_m2a",
    "growth_low": "growth_low",
    "growth_high": "growth_hi",
    "status": "status",
    "merged_into": "merged_in",
    "split_from": "split_from",
    # changes
    "from_year": "from_year",
    "to_year": "to_year",
    "kind": "kind",
    # ARTS
    "CentroidLat": "CentrLat",
    "CentroidLon": "CentrLon",
    "RegionName": "RegionName",
    "CreatorLab": "CreatorLab",
    "BaseMapDate": "MapDate",
    "BaseMapSource": "MapSource",
    "BaseMapResolution": "MapResol",
    "TrainClass": "TrainClass",
    "LabelType": "LabelType",
    "MergedRTS": "MergedRTS",
    "SplitRTS": "SplitRTS",
    "NewRTS": "NewRTS",
    "StabilizedRTS": "StabilRTS",
    "UnknownRelationship": "UnknownRel",
    "ContributionDate": "ContrDate",
    "UID": "UID",
    "BaseMapID": "BaseMapID",
    "Area": "Area",
    "Notes": "Notes",
    # what ARTS becomes here
    "arts_uid": "arts_uid",
    "train_class": "train_cls",
    "region": "region",
    "creator": "creator",
    "source": "source",
    "resolution_m": "resol_m",
}


def short_names(columns: Iterable[str]) -> dict[str, str]:
    """Return the name of each column in a Shapefile.

    Args:
        columns: Names of `SHAPEFILE_NAMES`, or others of at most ten ASCII characters.

    Raises:
        DataError: If a name is not known and too long, or two would be the same; capital letters make no difference.
    """
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    for column in columns:
        name = SHAPEFILE_NAMES.get(column, column)
        if len(name) > LONGEST or not name.isascii():
            raise DataError(
                f"the column {column} cannot be in a Shapefile: names there have at most {LONGEST} ASCII characters."
                " Rename it, leave it out, or write a GeoPackage."
            )
        if (other := taken.setdefault(name.lower(), column)) != column:
            raise DataError(
                f"the columns {other} and {column} would both be {name} in a Shapefile. Rename one of them, or write a "
                "GeoPackage."
            )
        names[column] = name
    return names
