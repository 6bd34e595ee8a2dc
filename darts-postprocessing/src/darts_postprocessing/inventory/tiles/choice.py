"""Which tiles there are, and which of them count."""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from darts_postprocessing.inventory.rules import Rules
from darts_postprocessing.inventory.tiles.facts import TileFacts
from darts_postprocessing.inventory.tiles.tables import DENSITY, EXTENT, OBSERVED, RECORD, SEGMENTS, header
from darts_utils.errors import ConfigError, DataError, MissingDataError

_AGAIN = b"DARTS_polygonize"
"""Tag of polygons that were made again from probabilities: there is no record beside them."""


class NoTilesError(MissingDataError):
    """There is no tile that is finished."""


logger = logging.getLogger(__name__)


def find_tiles(roots: Sequence[Path]) -> list[Path]:
    """Return the folders of all tiles below some folders, in the order of their paths.

    Raises:
        ConfigError: If a folder is not there.
        DataError: If a folder cannot be looked into.
        NoTilesError: If there is no tile that is finished.
        MissingDataError: If one was exported without polygons.
    """
    found: set[Path] = set()
    bare: list[Path] = []
    unfinished: list[Path] = []
    looked_at: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            raise ConfigError(f"there is no folder {root}. Give the results folder of a run, or the folder of a tile.")
        for folder, names in _folders(root, looked_at):
            if SEGMENTS not in names:
                bare.append(folder)
            elif RECORD in names or _AGAIN in (header(folder / SEGMENTS).metadata or {}):
                found.add(folder)
            else:
                unfinished.append(folder)
    if unfinished:
        logger.warning(
            "%d tiles such as %s have no %s, so are not finished: left out",
            len(unfinished),
            unfinished[0],
            RECORD,
        )
    if bare:
        raise MissingDataError(
            f"{len(bare)} tiles such as {bare[0]} have no {SEGMENTS}. Export them again with `--export-bands"
            " polygonized`, or make their polygons with `darts inventory polygonize`."
        )
    if not found:
        raise NoTilesError(f"there is no tile in {', '.join(map(str, roots))}. Map some scenes first.")
    return sorted(found)


def _folders(root: Path, looked_at: set[Path]) -> Iterator[tuple[Path, set[str]]]:
    """Yield the folders that hold results, without those inside of them, each once, whatever links lead there."""

    def fail(error: OSError) -> None:
        reason = error.strerror or error
        raise DataError(f"the folder {error.filename} cannot be looked into ({reason}). Make it readable.") from error

    for place, folders, files in os.walk(root, onerror=fail, followlinks=True):
        true = Path(place).resolve()
        if true in looked_at:
            folders[:] = []
            continue
        looked_at.add(true)
        names = set(files)
        folders[:] = [] if names & {SEGMENTS, RECORD} else sorted(name for name in folders if name[0] != ".")
        if names & {SEGMENTS, RECORD}:
            yield Path(place), names


def chosen_tiles(facts: Sequence[TileFacts], rules: Rules) -> list[TileFacts]:
    """Return the tiles that count: those of the season, each once; two of one image may be of different ground.

    Raises:
        ConfigError: If they are of different models or thresholds, and that is not allowed.
        MissingDataError: If none is left.
    """
    counted = [one for one in facts if rules.counts_day(one.acquired)]
    if not counted:
        raise MissingDataError(f"none of the {len(facts)} tiles is of the season {rules.season}. Widen it.")
    kinds: dict[tuple[str, str], list[TileFacts]] = {}
    for one in counted:
        kinds.setdefault((one.model_ids, one.threshold), []).append(one)
    if len(kinds) > 1 and not rules.mixed:
        said = "; ".join(
            f"{len(tiles)} of the models {models[:8] or 'unknown'}... at {threshold or 'an unknown threshold'}, such as"
            f" {tiles[0].image_id}"
            for (models, threshold), tiles in sorted(kinds.items())[:3]
        )
        raise ConfigError(f"the tiles are not made alike: {said}. Build an inventory of each, or use --mixed.")
    return _without_copies(counted)


def _without_copies(tiles: Sequence[TileFacts]) -> list[TileFacts]:
    """Return tiles without those whose image is there with the very same results."""
    of_image: dict[tuple[str, str], list[TileFacts]] = {}
    for one in tiles:
        of_image.setdefault((one.image_id, one.model_ids), []).append(one)
    kept: list[TileFacts] = []
    for several in of_image.values():
        by_content = (
            {content_of(one.folder): one for one in reversed(several)} if len(several) > 1 else {"": several[0]}
        )
        kept += [by_content[content] for content in sorted(by_content)]  # in an order that no folder's name decides
    return kept


def content_of(folder: Path) -> str:
    """Return the SHA-256 over the tables of a tile, byte by byte: objects, ground that was seen, and sums by kilometre.

    A copy has that of the original. Rasters are not read: of probabilities the sums tell.
    """
    content = hashlib.sha256()
    for name in (SEGMENTS, OBSERVED, EXTENT, DENSITY):
        file = folder / name
        content.update(file.read_bytes() if file.is_file() else b"")
        content.update(name.encode())
    return content.hexdigest()
