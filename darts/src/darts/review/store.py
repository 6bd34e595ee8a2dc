"""What is asked, who is at it, and what was said: one file of SQLite beside the inventory.

A verdict is on the disk before it is acknowledged, and there is one for each question whoever sends it how often: a
server that was killed goes on where it was.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from darts_postprocessing.review.figures import VERDICTS
from darts_utils.errors import ConfigError, DataError, one_line
from darts_utils.files import atomic_file

LEASED_S = 900.0
"""Who got a question has so long for it; then somebody else may get it."""
VERSION = "1"
_WAIT_S = 30.0
_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE questions (
    id INTEGER PRIMARY KEY, slump_id TEXT NOT NULL, year INTEGER NOT NULL, batch INTEGER NOT NULL, weight REAL NOT NULL,
    repeat_of INTEGER REFERENCES questions (id)
);
CREATE TABLE leases (
    question INTEGER PRIMARY KEY REFERENCES questions (id), reviewer TEXT NOT NULL, until REAL NOT NULL
);
CREATE TABLE verdicts (
    question INTEGER PRIMARY KEY REFERENCES questions (id), reviewer TEXT NOT NULL, verdict TEXT NOT NULL,
    note TEXT NOT NULL, outline TEXT, reviewed_at TEXT NOT NULL
);
"""
_OPEN = """
SELECT asked.id, asked.slump_id, asked.year FROM questions AS asked
LEFT JOIN verdicts AS said ON said.question = asked.id
LEFT JOIN leases AS held ON held.question = asked.id AND held.until > :now AND held.reviewer <> :reviewer
LEFT JOIN verdicts AS first ON first.question = asked.repeat_of
WHERE said.question IS NULL AND held.question IS NULL
  AND (asked.repeat_of IS NULL OR first.question IS NOT NULL)
"""
_FOR_ME = "AND (asked.repeat_of IS NULL OR (asked.id % 2 = 0) = (first.reviewer = :reviewer))"
"""Half of what is asked again is for who said it first, half for others."""


@dataclass(frozen=True)
class Question:
    """A slump that somebody is asked about."""

    id: int
    slump_id: str
    year: int


class TakenError(Exception):
    """Somebody else has answered a question."""


@dataclass(frozen=True)
class Review:
    """A review on disk."""

    file: Path

    def begin(self, questions: pd.DataFrame, about: Mapping[str, str]) -> None:
        """Write what will be asked; the file appears whole or not at all.

        Args:
            questions: One row a question, in order: `slump_id year batch weight repeat_of`, the latter the place, from
                0, of the row that asks the same before.
            about: What is noted of how they were chosen.
        """
        before = [None if pd.isna(one) else int(one) + 1 for one in questions["repeat_of"]]
        columns = [questions[name].tolist() for name in ("slump_id", "year", "batch", "weight")]
        rows = zip(range(1, len(questions) + 1), *columns, before, strict=True)
        with atomic_file(self.file) as part, closing(sqlite3.connect(part)) as connection, connection:
            connection.executescript(_SCHEMA)
            connection.executemany("INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.executemany("INSERT INTO about VALUES (?, ?)", {"version": VERSION, **about}.items())

    @property
    def about(self) -> dict[str, str]:
        """What was noted of how the questions were chosen.

        Raises:
            DataError: If the file is no review, or one of a later release.
        """
        with self._connected() as connection:
            about = dict(connection.execute("SELECT key, value FROM about"))
        if about.get("version") != VERSION:
            raise DataError(f"{self.file} is a review of another release. Go on with that one.")
        return about

    def next_question(self, reviewer: str, *, now: float) -> Question | None:
        """Return what somebody is to look at next, and hold it for them; None if there is nothing left for them.

        Args:
            reviewer: Who asks; what they hold already comes first.
            now: Seconds since 1970.
        """
        asked = {"reviewer": reviewer, "now": now}
        held = "AND EXISTS (SELECT 1 FROM leases WHERE question = asked.id AND reviewer = :reviewer AND until > :now)"
        with self._connected() as connection:
            for which in (held, _FOR_ME, ""):
                row = connection.execute(f"{_OPEN} {which} ORDER BY asked.id LIMIT 1", asked).fetchone()
                if row is not None:
                    connection.execute("REPLACE INTO leases VALUES (?, ?, ?)", (row[0], reviewer, now + LEASED_S))
                    return Question(*row)
        return None

    def question(self, number: int) -> Question | None:
        """Return a question by its number, None if there is none."""
        with self._connected() as connection:
            row = connection.execute("SELECT id, slump_id, year FROM questions WHERE id = ?", (number,)).fetchone()
        return None if row is None else Question(*row)

    def answered_before(self, reviewer: str, number: int | None) -> Question | None:
        """Return what somebody answered before another question, the last one if none is named; None if nothing."""
        order = "SELECT reviewed_at FROM verdicts WHERE question = :number AND reviewer = :reviewer"
        with self._connected() as connection:
            row = connection.execute(
                "SELECT id, slump_id, year FROM verdicts JOIN questions ON id = question WHERE reviewer = :reviewer "
                f"AND (NOT EXISTS ({order}) OR reviewed_at < ({order})) ORDER BY reviewed_at DESC LIMIT 1",
                {"reviewer": reviewer, "number": number},
            ).fetchone()
        return None if row is None else Question(*row)

    def answer(self, number: int, reviewer: str, verdict: str, *, note: str = "", outline: str | None = None) -> None:
        """Write a verdict down; a later one of the same person about the same question replaces it.

        Args:
            number: The question.
            reviewer: Who says it.
            verdict: One of `VERDICTS`.
            note: Free text.
            outline: The outline as it should be, GeoJSON in degrees; None: as the model has it.

        Raises:
            ConfigError: If there is no such question or verdict.
            TakenError: If somebody else has answered it.
        """
        if verdict not in VERDICTS:
            raise ConfigError(f"verdict is {verdict!r} but must be one of {', '.join(VERDICTS)}.")
        with self._connected() as connection:
            if connection.execute("SELECT 1 FROM questions WHERE id = ?", (number,)).fetchone() is None:
                raise ConfigError(f"there is no question {number}.")
            before = "SELECT reviewer, reviewed_at FROM verdicts WHERE question = ?"
            said = connection.execute(before, (number,)).fetchone()
            reviewed_at = datetime.now(UTC).isoformat(timespec="microseconds")
            if said is not None:
                author, reviewed_at = said  # one goes back through verdicts in the order in which they were first said
                if author != reviewer:
                    raise TakenError(f"question {number} was answered by somebody else meanwhile")
            row = (number, reviewer, verdict, note, outline, reviewed_at)
            connection.execute("REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
            connection.execute("DELETE FROM leases WHERE question = ?", (number,))

    def counts(self) -> dict[str, int]:
        """Return how many questions there are, and how many verdicts of each kind."""
        with self._connected() as connection:
            (asked,) = connection.execute("SELECT count(*) FROM questions").fetchone()
            said = dict(connection.execute("SELECT verdict, count(*) FROM verdicts GROUP BY verdict"))
        return {"asked": asked, **{verdict: said.get(verdict, 0) for verdict in VERDICTS}}

    def verdicts(self) -> pd.DataFrame:
        """Return one row a question that was answered, in order: `question slump_id year batch weight repeat_of` (the
        question that asked the same first, Int64) `reviewer verdict note outline reviewed_at`.
        """  # noqa: D205  (columns are no sentence)
        with self._connected() as connection:
            table = pd.read_sql_query(
                "SELECT question, slump_id, year, batch, weight, repeat_of, "
                "reviewer, verdict, note, outline, reviewed_at "
                "FROM verdicts JOIN questions ON id = question ORDER BY question",
                connection,
            )
        return table.astype({"repeat_of": "Int64"})

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one change, of which all is on the disk at the end or nothing."""
        if not self.file.is_file():
            raise ConfigError(f"there is no review {self.file}. Begin one with `darts review`.")
        try:
            with closing(sqlite3.connect(self.file, timeout=_WAIT_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise DataError(f"the review {self.file} cannot be used ({one_line(error, 120)}).") from error
