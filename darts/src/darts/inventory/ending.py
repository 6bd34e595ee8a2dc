"""How a run ends: with one inventory of all tiles in its results folder."""

import logging
from pathlib import Path

from darts_postprocessing.inventory.build import build, spread_over
from darts_postprocessing.inventory.published import kept_published
from darts_postprocessing.inventory.said import FILE, INVENTORY, read_said, rules_of
from darts_utils.errors import DartsError, one_line
from darts_utils.machine.cpu import usable_cores

_MANY = 100
"""Changed tiles from which on it is worth it to start processes."""

logger = logging.getLogger(__name__)


def end_with_inventory(results: Path, n_new: int, since: float = 0.0) -> None:
    """Bring the inventory of a results folder up to date, by the rules and with the ids that it has.

    Where that fails, the tiles are there all the same.

    Args:
        results: The folder.
        n_new: How many tiles of it are new.
        since: When the newest of them was finished, in seconds since the epoch.
    """
    if not n_new and _is_made(results / INVENTORY, since):  # to look at thousands of tiles takes minutes
        return
    try:
        folder = results / INVENTORY
        with spread_over(usable_cores() if n_new >= _MANY else 1) as spread:
            built = build([results], folder, rules_of(folder), spread=spread, published=kept_published(folder))
    except Exception as error:
        logger.debug("the inventory was not made", exc_info=True)
        logger.warning("no inventory of %s: %s `darts inventory build` makes it later.", results, one_line(error))
    else:
        logger.info("inventory of %d tiles: %d slumps over all years", built.n_tiles, built.n_tracks)


def _is_made(inventory: Path, since: float) -> bool:
    """Tell whether an inventory is whole, and made after some moment; a run that was killed may have left half."""
    try:
        read_said(inventory)
        return (inventory / FILE).stat().st_mtime >= since
    except (DartsError, OSError):
        return False
