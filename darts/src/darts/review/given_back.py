"""Verdicts that a page gave back as a file, read with the suspicion that a file of somebody else deserves."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from darts.review.store import Said, one_name
from darts_postprocessing.review.figures import VERDICTS
from darts_postprocessing.review.frames import Frame
from darts_utils.errors import DataError

FORMAT, VERSION = "darts-verdicts", 1
LONGEST_NAME, LONGEST_NOTE = 80, 4000
_MOST_BYTES = 200_000_000


def read_given_back(file: Path, review: str) -> list[tuple[int, Said]]:
    """Return the verdicts of a file, each with its question.

    Args:
        file: What a page saved.
        review: The review that it must be of.

    Raises:
        DataError: If it cannot be read, is of another review, or says what makes no sense.
    """
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
        return [_verdict(one) for one in said["verdicts"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} is damaged ({type(error).__name__}: {error}). Save it again from the page.") from error


def _verdict(one: Mapping[str, Any]) -> tuple[int, Said]:
    moment = datetime.fromisoformat(one["reviewed_at"]).astimezone(UTC)
    drawn = one["outline"]
    said = Said(
        reviewer=one_name(plain_text(one["reviewer"], LONGEST_NAME)),
        verdict=one["verdict"],
        note=plain_text(one["note"], LONGEST_NOTE),
        outline=None if drawn is None else _frame(*one["centre"]).outline(drawn).wkt,
        reviewed_at=moment.isoformat(timespec="microseconds"),
    )
    if type(one["question"]) is not int or not 0 < one["question"] < 2**31:
        raise ValueError("a question without its number")
    if not said.reviewer or said.verdict not in VERDICTS:
        raise ValueError("a verdict without a name, or none that is known")
    return one["question"], said


def _frame(longitude: Any, latitude: Any) -> Frame:
    longitude, latitude = float(longitude), float(latitude)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError("an outline that lies nowhere")
    return Frame(longitude, latitude, 0.0)


def plain_text(text: Any, longest: int) -> str:
    """Return a text without signs that no terminal or table shows.

    Raises:
        ValueError: If it is none, or too long.
    """
    if not isinstance(text, str) or len(text) > longest:
        raise ValueError(f"must be text of at most {longest} characters")
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")
