"""Objects and looks of a made-up inventory, in the plane in which inventories are made."""

import geopandas as gpd
import numpy as np
import shapely

from darts_utils.crs import EQUAL_AREA

WHERE = (-2_000_000.0, 1_000_000.0)
"""A place in the plane, some 69 N."""


def square(x, y, size):
    """Return a square in metres from a place in the plane."""
    left, bottom = WHERE[0] + x, WHERE[1] + y
    return shapely.box(left, bottom, left + size, bottom + size)


def rectangle(x0, y0, x1, y1):
    return shapely.box(WHERE[0] + x0, WHERE[1] + y0, WHERE[0] + x1, WHERE[1] + y1)


def objects_table(rows):
    """Return level 1 from (image, outline) pairs, or with a mapping of further columns."""
    plain = [(image, outline, more[0] if more else {}) for image, outline, *more in rows]
    areas = np.array([shapely.area(outline) for _, outline, _ in plain])
    columns = {
        "object_id": [f"object {number:04d}" for number in range(len(plain))],
        "image_id": [image for image, _, _ in plain],
        "acquired": [f"2021-07-{1 + int(image.split()[-1]):02d}" for image, _, _ in plain],
        "cut": [False] * len(plain),
        "npixel": np.maximum(areas / 100, 1).astype(np.int64),
        "area_m2": areas,
        "area_m2_t30": areas * 1.2,
        "area_m2_t65": areas * 0.7,
        "mean_probability": [0.8] * len(plain),
        "max_probability": [0.9] * len(plain),
        "tier": ["high"] * len(plain),
    }
    table = gpd.GeoDataFrame(columns, geometry=[outline for _, outline, _ in plain], crs=EQUAL_AREA)
    for row, (_, _, more) in enumerate(plain):
        for name, value in more.items():
            table.loc[row, name] = value
    return table


def looks_table(looks):
    """Return looks from observed ground by image."""
    return gpd.GeoDataFrame({"image_id": list(looks)}, geometry=list(looks.values()), crs=EQUAL_AREA)
