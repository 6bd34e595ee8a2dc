"""A review at work: what is asked, what is shown, and the page, served or as a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darts.review.begin import limited_to, review_of
from darts.review.candidates import Candidates, check_pictured
from darts.review.imagery import Imagery
from darts.review.page import embedded, page_file
from darts.review.places import Asked, DataPlaces
from darts.review.serve import check_server, serve
from darts.review.store import Question, Review
from darts.utils.terminal import say
from darts_postprocessing.inventory.said import read_said
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file
from darts_utils.machine.outputs import check_file, check_writable
from darts_utils.text import counted

_TRIED = 3
"""Questions of which one must have a picture."""


@dataclass(frozen=True, kw_only=True)
class ReviewPlace:
    """Where what is reviewed lies."""

    inventory: Path
    roots: Sequence[Path]
    """Results folders of the runs that it was made of."""
    file: Path | None
    """Of the review; `review.sqlite` in the inventory if None."""
    data: DataPlaces
    """Where images and elevation lie, if not where the runs read them."""


def review_inventory(place: ReviewPlace, asked: Asked, *, port: int, show: bool) -> None:
    """Serve the page of a review, see `darts.review.command.review`."""
    check_server(port)
    review, candidates, _ = _opened(place, asked)
    serve(review, candidates, port=port, show=show)
    counts = review.counts()
    say(f"{counts['answered']:,} of {counts['asked']:,} questions are answered: {review.file}")


def write_page(place: ReviewPlace, asked: Asked, page: Path) -> None:
    """Write the page of a review as one file, see `darts.review.command.review`."""
    check_file(page)
    review, candidates, questions = _opened(place, asked)
    if not questions:
        raise ConfigError(
            f"all questions of {review.file} are answered, so there is nothing for a page in one file. Without --page "
            "`darts review` shows what was said, to be corrected; `darts inventory verdicts` brings it in."
        )
    text = page_file(review.id, [embedded(candidates, one) for one in questions])
    with atomic_file(page) as part:
        part.write_text(text, encoding="utf-8")
    say(f"Page of {counted(len(questions), 'question')}, {len(text) / 1e6:.1f} MB: {page}")
    named = "" if place.file is None else f" --review-file {place.file}"
    say(f"What it gives back goes into the inventory with: darts inventory verdicts {place.inventory} FILE{named}")


def _opened(place: ReviewPlace, asked: Asked) -> tuple[Review, Candidates, list[Question]]:
    """Return a review, what is shown of it, and the questions that are open.

    Raises:
        DataError: If there are no pictures.
    """
    read_said(place.inventory)
    check_writable(place.inventory)
    candidates = Candidates(place.inventory, Imagery.of(place.roots, place.data))
    review = limited_to(review_of(place.inventory, place.file, asked), candidates.slumps)
    questions = review.open_questions()
    check_pictured(candidates, questions[:_TRIED])
    return review, candidates, questions
