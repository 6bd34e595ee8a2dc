"""The page that people review on: served to a browser, or as one file that holds its pictures."""

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from darts.review.candidates import Candidates
from darts.review.render import KINDS
from darts.review.store import Question
from darts_postprocessing.review.frames import SCALES
from darts_utils.errors import MissingDataError

ASSETS = {"review.js": "text/javascript", "review.css": "text/css"}
"""What the served page asks for, with its media types."""
_FOLDER = Path(__file__).parent / "assets"


def asset(name: str) -> str:
    """Return one of the files that the page asks for."""
    return _read(name)


@cache
def served_page() -> str:
    """Return the page that a server gives."""
    return _rendered(data=None)


def page_file(review: str, questions: Sequence[Mapping[str, Any]]) -> str:
    """Return one file that holds questions with their pictures; it asks nothing of anybody.

    Args:
        review: What tells this review from others.
        questions: As `embedded` gives them.
    """
    data = json.dumps({"review": review, "questions": list(questions)}, separators=(",", ":"))
    # in a script, only these signs could end it
    return _rendered(data=Markup(data.replace("&", r"\u0026").replace("<", r"\u003c")))


def embedded(candidates: Candidates, question: Question) -> dict[str, Any]:
    """Return a question as `Candidates.facts` gives it, with `pictures`: data URIs by year, scale and kind."""
    facts = candidates.facts(question)
    wanted = {
        f"{question.year}/{scale}/{kind}": (question.year, scale, kind)
        for scale in SCALES
        for kind in KINDS
        if kind != "terrain"
    }
    wanted |= {f"{one['year']}/close/colour": (one["year"], "close", "colour") for one in facts["years"]}
    wanted |= {f"{scale}/terrain": (question.year, scale, "terrain") for scale in facts["terrain"]}
    return {
        **facts,
        "pictures": {name: uri for name, one in wanted.items() if (uri := _uri(candidates, question, *one))},
    }


def _uri(candidates: Candidates, question: Question, year: int, scale: str, kind: str) -> str | None:
    try:
        picture = candidates.picture(question, year, scale, kind)
    except MissingDataError:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def _rendered(**given: Any) -> str:
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(_FOLDER),
        undefined=jinja2.StrictUndefined,
    )
    css, js = (Markup(_read(name)) for name in ("review.css", "review.js"))
    return environment.get_template("review.html.jinja").render(css=css, js=js, **given)


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
