"""Which tiles are done: their results are all there, and were made as the run would make them now."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from darts.pipelines.results.fingerprint import Recipe, differences, fingerprint_of
from darts.pipelines.tiles import Source, TileRef
from darts_export.record import FILE, FINGERPRINT, fingerprints, read_record
from darts_utils.errors import ConfigError, DataError, MissingDataError

logger = logging.getLogger(__name__)

DOCUMENT = "DARTS_fingerprint_document"
"""Key in a tile's record of all that decided its results."""
SEEN = "DARTS_input_files"
"""Key in a tile's record of the files that its image was read from."""

_MOST_SAID = 3
"""Groups of tiles that one line can tell apart."""

type Kind = Literal["absent", "done", "partial", "different", "unknown"]


@dataclass(frozen=True)
class State:
    """What there is of a tile."""

    kind: Kind
    """Nothing; all of it, made as now; some of it, made as now; made otherwise; all of it, but it does not say how."""
    reasons: tuple[str, ...] = ()
    """In words, how it was made otherwise."""
    fingerprint: str | None = None
    """That of what is there."""

    @property
    def is_to_be_made(self) -> bool:
        """Whether something of it is lacking, and nothing there contradicts this run."""
        return self.kind in ("absent", "partial")


_DAMAGED = State("different", ("left with a damaged record",))


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Looks at the folders of tiles."""

    folder: Path
    """The results folder."""
    lacking: Callable[[Path], Sequence[str]]
    """Returns the names of the files that the folder of a tile lacks."""
    recipe: Callable[[], Recipe]
    """Returns what decides the results of the run; asked only if there is something to compare with."""
    source: Source
    """Where the images come from."""

    def state(self, ref: TileRef) -> State:
        """Return what there is of a tile; one whose image cannot be read is unfinished, and fails alone in its turn."""
        try:
            return self._state(ref)
        except (DataError, MissingDataError, OSError) as error:
            logger.debug("what there is of %s is not known: %s", ref.tile_id, error)
            return State("partial")

    def _state(self, ref: TileRef) -> State:
        folder = self.folder / ref.output_folder
        if not folder.is_dir() or not any(not entry.name.startswith(".") for entry in folder.iterdir()):
            return State("absent")
        missing = self.lacking(folder)
        record = read_record(folder)
        if record is not None and FINGERPRINT in record:
            return self._recorded(ref, record, is_whole=not missing)
        if record is None and FILE not in missing:
            return _DAMAGED
        there = fingerprints(folder)
        if there and record is not None:
            return _DAMAGED  # files say how they were made, but the record does not
        if there:
            return self._marked(ref, there)
        if not set(missing) - {FILE}:
            return State("unknown")
        return State("different", ("left unfinished without a word of how",))

    def _recorded(self, ref: TileRef, record: Mapping[str, Any], *, is_whole: bool) -> State:
        """Return the state of a tile whose record is there."""
        fingerprint, document = record[FINGERPRINT], record.get(DOCUMENT)
        if not isinstance(document, Mapping) or not _is_of(fingerprint, document):
            return _DAMAGED
        reasons = differences(document, self._document(ref, record))
        if reasons:
            return State("different", (f"made with {reasons[0]}", *reasons[1:]), fingerprint)
        return State("done" if is_whole else "partial", (), fingerprint)

    def _marked(self, ref: TileRef, there: frozenset[str]) -> State:
        """Return the state of a tile whose record is gone, while other files tell how they were made."""
        wanted = fingerprint_of(self._document(ref, {}))
        found_short = sorted(f"{text[:8]}..." for text in there)
        if there == {wanted}:
            return State("partial", (), wanted)
        return State("different", (f"made with fingerprint {' and '.join(found_short)} (now {wanted[:8]}...)",))

    def _document(self, ref: TileRef, record: Mapping[str, Any]) -> dict[str, Any]:
        seen = record.get(SEEN)
        image, _ = self.source.identity(ref, seen if isinstance(seen, Mapping) else None)
        return self.recipe().document(ref, image)


def _is_of(fingerprint: object, document: Mapping[str, Any]) -> bool:
    """Tell whether a document is the one that was hashed."""
    try:
        return fingerprint_of(document) == fingerprint
    except (ValueError, TypeError, RecursionError):
        return False


def check_same(states: Mapping[TileRef, State], folder: Path) -> None:
    """Refuse a run over results that were made otherwise.

    Raises:
        ConfigError: If there are some; one line says how many, what differs, and what to do.
    """
    others = Counter(state.reasons for state in states.values() if state.kind == "different")
    if not others:
        return
    named = others.most_common(_MOST_SAID)
    said = [f"{count} tile{' was' if count == 1 else 's were'} {', '.join(reasons)}" for reasons, count in named]
    more = sum(others.values()) - sum(count for _, count in named)
    said += [f"{more} more were made in other ways"] if more else []
    raise ConfigError(
        f"{'; '.join(said)} (in {folder}). Use --overwrite, another --output-data-dir, or --keep-old, "
        "which leaves them as they are."
    )


def say_left(states: Mapping[TileRef, State], folder: Path) -> None:
    """Say which results are left alone though they are, or may be, others than this run would make."""
    unknown = sum(state.kind == "unknown" for state in states.values())
    others = sum(state.kind == "different" for state in states.values())
    if others:
        logger.warning("%s left as found in %s, made otherwise than this run would", _tiles(others), folder)
    if unknown:
        logger.warning(
            "%s kept in %s, finished by an earlier release that does not say how. "
            "`darts upgrade-results %s` finds it out where it can; --overwrite makes them again.",
            _tiles(unknown), folder, folder,
        )  # fmt: skip


def _tiles(number: int) -> str:
    return f"{number} tile is" if number == 1 else f"{number} tiles are"
