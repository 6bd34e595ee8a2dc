"""What a search for scenes is given, checked: tiles, limits of cover, and ids as messages name them."""

import re
from collections.abc import Sequence

from darts_utils.errors import ConfigError

_TILE_ID = re.compile(r"T?(\d{1,2})([C-HJ-NP-X][A-HJ-NP-Z]{2})")
_NAMED_IDS = 10


def mgrs_tiles(tile_ids: Sequence[str]) -> list[str]:
    """Return MGRS tiles in the usual spelling, such as `08WNB` for `T08WNB`, `08WNB` or `8wnb`.

    Raises:
        ConfigError: If one is no MGRS tile, or there is none.
    """
    if isinstance(tile_ids, str) or not tile_ids:
        raise ConfigError(
            f"tile_ids is {tile_ids!r} but must be a list of MGRS tiles such as 08WNB. Give at least one."
        )
    matches = {tile: _TILE_ID.fullmatch(tile.strip().upper()) for tile in tile_ids}
    wrong = [tile for tile, match in matches.items() if match is None or not 1 <= int(match[1]) <= 60]
    if wrong:
        raise ConfigError(f"{', '.join(wrong)} in tile_ids is no MGRS tile such as 08WNB or T08WNB. Correct it.")
    return [f"{int(match[1]):02d}{match[2]}" for match in matches.values() if match is not None]


def cover_limit(name: str, limit: float | None) -> float | None:
    """Return the largest cover in percent, None where everything is welcome.

    Raises:
        ConfigError: If it is no percentage.
    """
    if limit is None or limit == 100:
        return None
    if not 0 <= limit <= 100:
        raise ConfigError(f"{name} is {limit} but must be between 0 and 100 percent. Correct it, or leave it out.")
    return limit


def named(scene_ids: Sequence[str]) -> str:
    """Return some ids for a message, and how many more there are."""
    more = len(scene_ids) - _NAMED_IDS
    return ", ".join(scene_ids[:_NAMED_IDS]) + (f" and {more} more" if more > 0 else "")
