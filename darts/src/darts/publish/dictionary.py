"""What each column of an inventory is, and in which unit: the data dictionary of a publication."""

from collections.abc import Mapping

type Columns = Mapping[str, tuple[str, str]]
"""Unit and meaning by column; no unit is empty."""

_PROBABILITIES: Columns = {
    "mean_probability": ("0 to 1", "mean of its pixels"),
    "max_probability": ("0 to 1", "largest of its pixels"),
}
_VERDICT: Columns = {
    "verdict": ("", "of people who reviewed it: slump, not, unsure; null where nobody did"),
    "reviewer": ("", "who said so"),
    "reviewed_at": ("ISO 8601, UTC", "when"),
    "note": ("", "what they noted"),
}
TABLES: Mapping[str, Columns] = {
    "objects": {
        "object_id": ("", "made of image, models and outline"),
        "image_id": ("", "the image"),
        "sensor": ("", "sentinel2 or planet"),
        "acquired": ("YYYY-MM-DD", "day of the image"),
        "year": ("", "of the image"),
        "model_ids": ("", "ids of the models, with commas"),
        "area_m2": ("m2", "geodesic"),
        "perimeter_m": ("m", "geodesic, with lines of holes"),
        "centroid_lon": ("degrees", "longitude of the middle"),
        "centroid_lat": ("degrees", "latitude of the middle"),
        **_PROBABILITIES,
        "core_probability": ("0 to 1", "mean above the 75th percentile of its pixels"),
        "area_m2_t30": ("m2", "area above probability 0.30, joined to the object"),
        "area_m2_t45": ("m2", "the same above 0.45"),
        "area_m2_t65": ("m2", "part of it above 0.65"),
        "area_m2_t80": ("m2", "part of it above 0.80"),
        "tier": ("", "high, medium or low, by core_probability; null for none"),
        "cut": ("", "whether a border cuts it"),
        "features_missing": ("0 to 1", "share of ground where a feature was missing"),
        "nodata_fraction": ("0 to 1", "share of ground without data around it"),
        "snow_fraction": ("0 to 1", "share of snow around it"),
        "water_fraction": ("0 to 1", "share of water around it"),
        "npixel": ("pixels", "its size"),
    },
    "looks": {
        "image_id": ("", "the image"),
        "acquired": ("YYYY-MM-DD", "its day"),
        "year": ("", "of the image"),
        "sensor": ("", "sentinel2 or planet"),
        "is_observed": ("", "whether the outline is ground that was really seen; false: all that was mapped"),
    },
    "slumps": {
        "slump_id": ("", "the same in all years"),
        "year": ("", "the year"),
        "seen_fraction": ("0 to 1", "share of the ground of all years that was seen in this one"),
        "n_looks": ("images", "that saw at least half of it"),
        "n_hits": ("images", "of these, that call a part of it a slump"),
        "agreement": ("0 to 1", "hits by looks"),
        "first_acquired": ("YYYY-MM-DD", "day of the first image that shows it"),
        "last_acquired": ("YYYY-MM-DD", "day of the last one"),
        "area_m2": ("m2", "of all ground that any image calls a slump (geometry)"),
        "area_majority_m2": ("m2", "of ground that at least half of its looks do (geometry_majority): the area to use"),
        "area_low_m2": ("m2", "the same at threshold 0.65"),
        "area_high_m2": ("m2", "the same at threshold 0.30"),
        "perimeter_m": ("m", "of the outline"),
        **_PROBABILITIES,
        "tier": ("", "the highest that at least half of its objects reach; null for none"),
        "geometry_majority": ("", "outline of the ground that at least half of its looks call a slump"),
        **_VERDICT,
    },
    "tracks": {
        "slump_id": ("", "the slump"),
        "first_year": ("", "in which it was seen"),
        "last_year": ("", "in which it was seen"),
        "n_years": ("years", "in which it was seen"),
        "area_first_m2": ("m2", "majority area in the first year in which 95 % of its ground was seen"),
        "area_last_m2": ("m2", "the same in the last one"),
        "growth_m2_per_year": ("m2 a year", "median of the slopes between all pairs of years"),
        "growth_low": ("m2 a year", "lower end of its 95 % interval; null for fewer than five years"),
        "growth_high": ("m2 a year", "upper end"),
        "status": ("", "active, stable, stabilised or unknown"),
        "split_from": ("", "the slump that it was a part of"),
        "merged_into": ("", "the slump that it ended in"),
    },
    "changes": {
        "slump_id": ("", "the slump"),
        "from_year": ("", "the earlier year"),
        "to_year": ("", "the later year"),
        "kind": ("", "gained or lost"),
        "area_m2": ("m2", "of that ground"),
    },
    "verdicts": {
        "review": ("", "which review"),
        "question": ("", "number of the question in it"),
        "slump_id": ("", "the slump"),
        "year": ("", "its year"),
        **_VERDICT,
        "edited": ("", "whether the outline was drawn by the reviewer; otherwise it is that of the models"),
        "weight": ("slumps", "for how many slumps the question stands"),
        "batch": ("", "number of the batch"),
        "repeat_of": ("", "question that it repeats; null for most"),
    },
    "sums": {
        "x": ("km", "left edge of the cell in EPSG:6931"),
        "y": ("km", "lower edge of the cell in EPSG:6931"),
        "observed_m2": ("m2", "ground that was seen, added over images"),
        "expected_m2": ("m2", "expected slump area, added over images; NaN where not calibrated"),
    },
}
"""Columns of the tables in `inventory/`, without outlines and their bounds."""
