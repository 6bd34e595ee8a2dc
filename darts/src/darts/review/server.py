"""What a page of a review asks for: one person at a time, a question, its pictures, and a place for the verdict.

It listens on the loopback address, answers only to that name, and only under an address with the secret of the review
in it: other users of the machine, and pages of other sites that are open in a browser, get nothing.
"""

import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darts.review.candidates import Candidates
from darts.review.given_back import LONGEST_NAME, LONGEST_NOTE, plain_text
from darts.review.page import ASSETS, asset, served_page
from darts.review.render import KINDS
from darts.review.store import Question, Review, Said, TakenError, one_name
from darts_postprocessing.review.frames import SCALES
from darts_utils.errors import ConfigError, DartsError, DataError, MissingDataError

logger = logging.getLogger(__name__)

HOSTS = ("127.0.0.1", "localhost")
_HIGHEST = 2**31
"""Beyond any number of a question."""
MOST_BYTES = 1_000_000
"""Of what a page sends: an outline of 20,000 points has half of it."""
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

type Answer = Mapping[str, Any]


def application(review: Review, candidates: Candidates, token: str) -> ASGIApp:
    """Return the application that a server runs.

    Args:
        review: What is asked, and where verdicts go.
        candidates: What is shown.
        token: The secret in the address.
    """
    desk = _Desk(review, candidates)
    routes = [
        Route("/", _page),
        Route("/assets/{name}", _asset),
        Route("/picture/{question:int}/{year:int}/{scale}/{kind}", desk.picture),
        *(Route(f"/{name}", _posted(answer), methods=["POST"]) for name, answer in desk.answers.items()),
    ]
    inner = Starlette(routes=[Route(f"/{{token}}{one.path}", one.endpoint, methods=one.methods) for one in routes])
    inner.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))
    return _Guarded(inner, token)


class _Guarded:
    """Lets nothing through that is too large, or does not know the secret; and says to browsers what is allowed."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = scope["path"].split("/")[1].encode()
        if not secrets.compare_digest(given, self._token):
            await Response("not found", 404, headers=_HEADERS)(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            await JSONResponse({"error": "that is too much"}, 413, headers=_HEADERS)(scope, receive, send)
            return
        await self._app(scope, _again(body), _with_headers(send))


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request, None if it is too large."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", ()),
                *((name.lower().encode(), value.encode()) for name, value in _HEADERS.items()),
            ]
        await send(message)

    return guarded


def _page(_: Request) -> Response:
    return Response(served_page(), media_type="text/html")


def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ASSETS:
        raise HTTPException(404)
    return Response(asset(name), media_type=ASSETS[name])


def _posted(answer: Callable[[Answer], Answer]) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers JSON with JSON; what it refuses becomes a status and a sentence."""

    async def answered(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return JSONResponse({"error": "send JSON"}, 415)
        try:
            given = json.loads(await request.body())
        except (ValueError, RecursionError):
            return JSONResponse({"error": "that is no JSON"}, 400)
        if not isinstance(given, dict):
            return JSONResponse({"error": "that is no JSON object"}, 400)
        try:
            return JSONResponse(await run_in_threadpool(answer, given))
        except TakenError as error:
            return JSONResponse({"error": str(error)}, 409)
        except (ConfigError, DataError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return answered


class _Desk:
    """Where questions are handed out and verdicts taken."""

    def __init__(self, review: Review, candidates: Candidates) -> None:
        self._review = review
        self._candidates = candidates
        self._ahead = ThreadPoolExecutor(1)
        self.answers: Mapping[str, Callable[[Answer], Answer]] = {
            "next": self.next,
            "back": self.back,
            "list": self.list,
            "at": self.at,
            "verdict": self.verdict,
        }

    def next(self, given: Answer) -> Answer:
        """Return the next question for somebody."""
        reviewer, now = _reviewer(given), time.time()
        question = self._review.next_question(reviewer, now=now)
        shown = self._shown(question, reviewer)
        if question is not None:
            self._ahead.submit(self._prepare, reviewer, question.id, now)
        return shown

    def _prepare(self, reviewer: str, number: int, now: float) -> None:
        """Read the pictures of the question after one, while people look at that: then it is there at once."""
        try:
            after = self._review.likely_next(reviewer, number, now=now)
            if after is not None:
                self._candidates.facts(after)
        except DartsError as error:  # whoever is asked it is told
            logger.info("question %d was not prepared: %s", number, error)

    def back(self, given: Answer) -> Answer:
        """Return what somebody answered before a question, with what they said; that question if nothing."""
        reviewer, number = _reviewer(given), _number(given)
        before = self._review.answered_before(reviewer, number)
        here = self._review.question(number) if before is None and number is not None else before
        return self._shown(here, reviewer)

    def list(self, given: Answer) -> Answer:
        """Return what somebody has said, the last answer first."""
        answers = self._review.answers_of(_reviewer(given))
        rows = [
            {"question": one.id, "year": one.year, "verdict": said.verdict, "note": said.note} for one, said in answers
        ]
        return {"counts": self._review.counts(), "answered": rows}

    def at(self, given: Answer) -> Answer:
        """Return a question that somebody has answered, with what they said."""
        reviewer, number = _reviewer(given), _number(given)
        question = None if number is None else self._review.question(number)
        if question is None or self._review.said(question.id, reviewer) is None:
            raise ConfigError("you have answered no such question.")
        return self._shown(question, reviewer)

    def verdict(self, given: Answer) -> Answer:
        """Take a verdict, and return the next question; it is on the disk by then."""
        reviewer, number = _reviewer(given), _number(given)
        question = None if number is None else self._review.question(number)
        if question is None:
            raise ConfigError("there is no such question.")
        drawn = given.get("outline")
        outline = None if drawn is None else self._candidates.frame(question).outline(drawn).wkt
        said = Said(
            reviewer=reviewer,
            verdict=str(given.get("verdict")),
            note=_text(given, "note", LONGEST_NOTE),
            outline=outline,
        )
        self._review.answer(question.id, said)
        return self.next(given)

    def picture(self, request: Request) -> Response:
        """Return a picture of a question."""
        asked = request.path_params
        question = self._review.question(asked["question"]) if asked["question"] < _HIGHEST else None
        if question is None or asked["scale"] not in SCALES or asked["kind"] not in KINDS:
            raise HTTPException(404)
        try:
            return Response(
                self._candidates.picture(question, asked["year"], asked["scale"], asked["kind"]),
                media_type="image/jpeg",
            )
        except MissingDataError as error:
            raise HTTPException(404) from error

    def _shown(self, question: Question | None, reviewer: str) -> Answer:
        counts = self._review.counts()
        if question is None:
            return {"counts": counts, "question": None}
        return {
            "counts": counts,
            "question": self._candidates.facts(question, self._review.said(question.id, reviewer)),
        }


def _number(given: Answer) -> int | None:
    """Return the question that was named, None if that is no number of one."""
    number = given.get("question")
    return number if type(number) is int and 0 < number < _HIGHEST else None


def _reviewer(given: Answer) -> str:
    name = one_name(_text(given, "reviewer", LONGEST_NAME))
    if not name:
        raise ConfigError("reviewer is empty but must be a name.")
    return name


def _text(given: Answer, name: str, longest: int) -> str:
    """Return a text that was sent, empty if it was not.

    Raises:
        ConfigError: If it is none, or too long.
    """
    try:
        return plain_text(given.get(name, ""), longest)
    except ValueError as error:
        raise ConfigError(f"{name} {error}.") from error
