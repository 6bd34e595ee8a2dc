"""Verdicts that a page gave back as a file, read with the suspicion that a file of somebody else deserves."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from darts.review.store import Said, one_name
from darts_postprocessing.review.figures import VERDICTS
from darts_postprocessing.review.frames import Frame
from darts_utils.errors import ConfigError, DataError

FORMAT, VERSION = "darts-verdicts", 1
LONGEST_NAME, LONGEST_NOTE = 80, 4000
_MOST_BYTES = 200_000_000
_YEARS = range(1970, 2101)
_LARGEST_M = 2000.0
"""Of a slump that is not known any more: its outline may reach 10 km."""

type FrameOf = Callable[[int], Frame | None]


def read_given_back(file: Path, review: str, frame_of: FrameOf) -> list[tuple[int, Said]]:
    """Return the verdicts of a file, each with its question.

    Args:
        file: What a page saved.
        review: The review that it must be of.
        frame_of: Gives the ground around what a question asks about, None where that is not known.

    Raises:
        ConfigError: If there is no such file.
        DataError: If it cannot be read, is of another review, or says what makes no sense.
    """
    if not file.is_file():
        raise ConfigError(f"there is no file {file}. Give the file that the page saved.")
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read as verdicts ({error}). Save them again from the page.") from error
    if not isinstance(said, dict) or said.get("format") != FORMAT or said.get("format_version") != VERSION:
        raise DataError(f"{file} holds no verdicts of a page. Give the file that the page saved.")
    if said.get("review") != review:
        raise DataError(f"{file} is of another review. Name the file of that one with --review-file.")
    try:
        return [_verdict(one, frame_of) for one in said["verdicts"]]
    except DataError as error:
        raise DataError(f"{file} is damaged: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} is damaged ({type(error).__name__}: {error}). Save it again from the page.") from error


def _verdict(one: Mapping[str, Any], frame_of: FrameOf) -> tuple[int, Said]:
    number, drawn = one["question"], one["outline"]
    if type(number) is not int or not 0 < number < 2**31:
        raise ValueError("a question without its number")
    said = Said(
        reviewer=one_name(plain_text(one["reviewer"], LONGEST_NAME)),
        verdict=one["verdict"],
        note=plain_text(one["note"], LONGEST_NOTE),
        outline=None if drawn is None else _outline(drawn, one["centre"], frame_of(number)),
        reviewed_at=_moment(one["reviewed_at"]),
    )
    if not said.reviewer or said.verdict not in VERDICTS:
        raise ValueError("a verdict without a name, or none that is known")
    return number, said


def _moment(text: str) -> str:
    """Return a time in UTC.

    Raises:
        ValueError: If it is none, or one at which nobody reviewed anything.
    """
    moment = datetime.fromisoformat(text)
    if moment.year not in _YEARS:
        raise ValueError(f"a verdict of {text}")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _outline(drawn: Any, centre: Any, frame: Frame | None) -> str:
    """Return what was drawn around a middle as WKT in degrees.

    Raises:
        DataError: If it is no outline, or not at the slump that was asked about.
    """
    longitude, latitude = (float(one) for one in centre)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError("an outline that lies nowhere")
    outline = Frame(longitude, latitude, _LARGEST_M if frame is None else frame.size_m).outline(drawn)
    if frame is not None and not frame.is_near(outline):
        raise DataError("an outline is not at the slump that was asked about. Save it again from the page.")
    return str(outline.wkt)


def plain_text(text: Any, longest: int) -> str:
    """Return a text without signs that no terminal or table shows.

    Raises:
        ValueError: If it is none, or too long.
    """
    if not isinstance(text, str) or len(text) > longest:
        raise ValueError(f"must be text of at most {longest} characters")
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")
