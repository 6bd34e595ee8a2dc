"""Earlier answers on which scene fits a footprint, in a JSON file that survives interruptions."""

import copy
import hashlib
import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pystac

from darts_acquisition.catalog.fields import usable_item
from darts_utils.errors import OutputError
from darts_utils.files import atomic_file
from darts_utils.machine.disk import cannot_write

logger = logging.getLogger(__name__)

_VERSION = 2
"""Raise it when scores are computed in another way: older answers are then asked for again."""
_WRITE_EVERY_S = 2.0
"""The file is rewritten as a whole, so not after every answer; a kill loses no more than this."""


@dataclass(frozen=True)
class Candidate:
    """A scene near a footprint."""

    scene_id: str
    cloud_cover: float
    """Percent."""
    coverage: float
    """Share of the footprint's area, 0..1."""
    days_apart: int
    seconds_apart: float

    @property
    def parts(self) -> dict[str, float]:
        """The parts of the score: each is 1 at 5 % clouds, 5 % of the footprint missing, or 2 days."""
        return {
            "cloud_score": (self.cloud_cover / 5) ** 2,
            "coverage_score": ((100 - 100 * self.coverage) / 5) ** 2,
            "days_score": (self.days_apart / 2) ** 2,
        }

    @property
    def score(self) -> float:
        """Sum of the parts; the lower the better."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Verdict:
    """The answer on one footprint."""

    scene_id: str | None
    reason: str | None
    """Why there is no scene."""
    candidates: tuple[Candidate, ...] = ()
    """All scenes that fulfil the criteria, by id."""


class MatchingCache:
    """Answers by key, and the scenes they name; threads may share it.

    Args:
        path: The file, None to keep nothing on disk. A damaged file is one warning and made anew.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._verdicts, self._scenes = _read(self._path)
        self._unwritten = False
        self._written_s = time.monotonic()

    @staticmethod
    def key(outline: bytes, day: str, criteria: Mapping[str, Any]) -> str:
        """Return what an answer depends on, as one word."""
        given = json.dumps([_VERSION, outline.hex(), day, sorted(criteria.items())])
        return hashlib.blake2b(given.encode(), digest_size=16).hexdigest()

    def __contains__(self, key: str) -> bool:
        return key in self._verdicts

    def __getitem__(self, key: str) -> Verdict:
        return self._verdicts[key]

    def item(self, key: str) -> pystac.Item | None:
        """Return the scene of an answer without its links, a new object each time."""
        scene_id = self._verdicts[key].scene_id
        return None if scene_id is None else pystac.Item.from_dict(self._scenes[scene_id])

    def put(self, key: str, verdict: Verdict, item: pystac.Item | None) -> None:
        """Add an answer."""
        with self._lock:
            self._verdicts[key] = verdict
            if item is not None:
                self._scenes[item.id] = _without_links(item)
            self._unwritten = True

    def write(self, *, at_least_every_s: float = 0.0) -> None:
        """Write the file, unless nothing is new or it was written a moment ago.

        Raises:
            OutputError: If that is not possible.
        """
        with self._lock:
            if self._path is None or not self._unwritten or time.monotonic() - self._written_s < at_least_every_s:
                return
            verdicts = {key: asdict(verdict) for key, verdict in self._verdicts.items()}
            content = json.dumps(_sealed({"verdicts": verdicts, "scenes": self._scenes}))
            try:
                with atomic_file(self._path) as part:
                    part.write_text(content, encoding="utf-8")
            except OutputError:
                raise
            except OSError as error:
                raise cannot_write(self._path, error, "the matching cache ") from error
            self._unwritten, self._written_s = False, time.monotonic()

    def write_now_and_then(self) -> None:
        """Write the file if that is a while ago."""
        self.write(at_least_every_s=_WRITE_EVERY_S)


def _without_links(item: pystac.Item) -> dict[str, Any]:
    """Return an item as plain values; with its links pystac would ask the catalogue for what they lead to."""
    bare = copy.copy(item)
    bare.links = []
    return bare.to_dict(include_self_link=False, transform_hrefs=False)


def _read(path: Path | None) -> tuple[dict[str, Verdict], dict[str, dict[str, Any]]]:
    if path is None or not path.exists():
        return {}, {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content != _sealed({name: content[name] for name in ("verdicts", "scenes")}):
            raise ValueError("its checksum is wrong")
        verdicts = {key: _verdict(given) for key, given in content["verdicts"].items()}
        for scene in content["scenes"].values():
            usable_item(copy.deepcopy(scene))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        logger.warning("the matching cache %s is damaged (%s: %s); it is made anew", path, type(error).__name__, error)
        return {}, {}
    return verdicts, content["scenes"]


def _sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return content with a checksum, so that no damage passes for an answer."""
    digest = hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16)
    return {**content, "checksum": digest.hexdigest()}


def _verdict(given: Mapping[str, Any]) -> Verdict:
    candidates = tuple(Candidate(**candidate) for candidate in given["candidates"])
    return Verdict(scene_id=given["scene_id"], reason=given["reason"], candidates=candidates)
