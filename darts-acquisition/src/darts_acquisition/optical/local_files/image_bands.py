"""Which bands of an image file are blue, green, red and near infrared: by their descriptions, else by the product."""

import re
from collections.abc import Sequence

from darts_utils.errors import DataError

BANDS = ("blue", "green", "red", "nir")

_DESCRIPTIONS = {"blue": "blue", "green": "green", "red": "red", "nir": "nir", "nearinfrared": "nir"}
"""Words of Planet's files, without signs. Their neighbours `coastal_blue`, `green_i`, `rededge` are other bands."""
_SENTINEL2 = {"b2": "blue", "b02": "blue", "b3": "green", "b03": "green", "b4": "red", "b04": "red",
              "b8": "nir", "b08": "nir"}  # fmt: skip
"""Names as Earth Engine exports them. They only count together, because others number bands in the same way."""
_PRODUCTS = {
    "8b": (8, (2, 4, 6, 8)),  # coastal blue, blue, green I, green, yellow, red, red edge, near infrared
    "BGREN": (5, (1, 2, 3, 5)),
    "BGRN": (4, (1, 2, 3, 4)),
    "AnalyticMS": (4, (1, 2, 3, 4)),
}
"""For words in file names: the number of bands of the product, and where the four are in it, from 1.

Planet Labs, PlanetScope Product Specifications (2023), section 2.
"""
_BY_COUNT = {4: (1, 2, 3, 4), 8: (2, 4, 6, 8)}
"""Surface reflectance without any word is one of two products."""


def band_indexes(name: str, descriptions: Sequence[str | None]) -> tuple[int, ...]:
    """Return the numbers, from 1, of the bands `BANDS` in a file.

    Args:
        name: Name of the file.
        descriptions: What the file says of each of its bands, None where it says nothing. Colour interpretations do not
            help: in files of Planet the first band, blue, is often marked as red.

    Raises:
        DataError: If neither the descriptions nor the product tell all four.
    """
    words = [re.sub(r"[^a-z0-9]", "", (text or "").lower()) for text in descriptions]
    for vocabulary in (_DESCRIPTIONS, _SENTINEL2):
        found = [vocabulary.get(word) for word in words]
        if sorted(filter(None, found)) == sorted(BANDS):
            return tuple(found.index(band) + 1 for band in BANDS)
    if any(word in _DESCRIPTIONS for word in words):
        raise DataError(
            f"the bands of {name} are described as {', '.join(str(text) for text in descriptions)}, but one each of "
            f"{', '.join(BANDS)} is needed. Correct the descriptions."
        )
    return _of_product(name, len(words))


def _of_product(name: str, n_bands: int) -> tuple[int, ...]:
    tokens = re.split(r"[_.]", name.lower())
    for word, (count, indexes) in _PRODUCTS.items():
        if word.lower() in tokens:
            if count != n_bands:
                break
            return indexes
    else:
        if n_bands in _BY_COUNT:
            return _BY_COUNT[n_bands]
    raise DataError(
        f"{name} has {n_bands} bands without descriptions, and no product is known that they could be of. "
        f"Describe {', '.join(BANDS)} in the file."
    )
