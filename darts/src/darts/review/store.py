"""What is asked, who is at it, and what was said: one file of SQLite beside the inventory.

A verdict is on the disk before it is acknowledged, and a person has one on a question however often it is sent: a
server that was killed goes on where it was.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path

import pandas as pd

from darts_postprocessing.review.figures import VERDICTS
from darts_utils.errors import ConfigError, DataError, one_line
from darts_utils.files import atomic_file

LEASED_S = 900.0
"""Who got a question has so long for it; then somebody else may get it."""
VERSION = "2"
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
    question INTEGER NOT NULL REFERENCES questions (id), reviewer TEXT NOT NULL, verdict TEXT NOT NULL,
    note TEXT NOT NULL, outline TEXT, reviewed_at TEXT NOT NULL, first_at TEXT NOT NULL,
    PRIMARY KEY (question, reviewer)
);
"""
_THERE = "(SELECT * FROM questions WHERE is_there(slump_id, year))"
_OPEN = f"""
SELECT asked.id, asked.slump_id, asked.year FROM {_THERE} AS asked
LEFT JOIN leases AS held ON held.question = asked.id AND held.until > :now AND held.reviewer <> :reviewer
WHERE held.question IS NULL
  AND NOT EXISTS (SELECT 1 FROM verdicts WHERE question = asked.id)
  AND (asked.repeat_of IS NULL OR EXISTS (SELECT 1 FROM verdicts WHERE question = asked.repeat_of))
"""
_FOR_ME = """
AND (asked.repeat_of IS NULL OR (asked.id % 2 = 0) =
     EXISTS (SELECT 1 FROM verdicts WHERE question = asked.repeat_of AND reviewer = :reviewer))
"""
"""Half of what is asked again is for who said it first, half for others."""


@dataclass(frozen=True)
class Question:
    """A slump that somebody is asked about."""

    id: int
    slump_id: str
    year: int


@dataclass(frozen=True, kw_only=True)
class Said:
    """What somebody said about a question."""

    reviewer: str
    verdict: str
    """One of `VERDICTS`."""
    note: str = ""
    """Free text."""
    outline: str | None = None
    """The outline as it should be, WKT in degrees; None: as the model has it."""
    reviewed_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds"))
    """When, ISO 8601 in UTC."""


class TakenError(Exception):
    """Somebody else has answered a question."""


@dataclass(frozen=True)
class Review:
    """A review on disk."""

    file: Path
    there: frozenset[tuple[str, int]] | None = None
    """Slumps and years that an inventory has: questions about others are left out, until these are back; None for all
    questions."""

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

    @property
    def id(self) -> str:
        """What tells this review from others; the secret of its address cannot be told from it."""
        return hashlib.sha256(self.about["token"].encode()).hexdigest()[:8]

    def next_question(self, reviewer: str, *, now: float) -> Question | None:
        """Return what somebody is to look at next, and hold it for them; None if there is nothing left for them.

        Args:
            reviewer: Who asks; what they hold already comes first.
            now: Seconds since 1970.
        """
        held = "AND EXISTS (SELECT 1 FROM leases WHERE question = asked.id AND reviewer = :reviewer AND until > :now)"
        with self._connected() as connection:
            reviewer = _as_known(connection, reviewer)
            asked = {"reviewer": reviewer, "now": now}
            for which in (held, _FOR_ME, ""):
                row = connection.execute(f"{_OPEN} {which} ORDER BY asked.id LIMIT 1", asked).fetchone()
                if row is not None:
                    connection.execute("REPLACE INTO leases VALUES (?, ?, ?)", (row[0], reviewer, now + LEASED_S))
                    return Question(*row)
        return None

    def likely_next(self, reviewer: str, number: int, *, now: float) -> Question | None:
        """Return what somebody will most likely be asked after a question; nothing is held for them."""
        with self._connected() as connection:
            asked = {"reviewer": _as_known(connection, reviewer), "now": now, "number": number}
            row = connection.execute(f"{_OPEN} AND asked.id > :number ORDER BY asked.id LIMIT 1", asked).fetchone()
        return None if row is None else Question(*row)

    def question(self, number: int) -> Question | None:
        """Return a question by its number, None if there is none."""
        with self._connected() as connection:
            row = connection.execute(f"SELECT id, slump_id, year FROM {_THERE} WHERE id = ?", (number,)).fetchone()
        return None if row is None else Question(*row)

    def answered_before(self, reviewer: str, number: int | None) -> Question | None:
        """Return what somebody answered before another question, the last one if none is named; None if nothing.

        What was changed later stays where it was in the order.
        """
        order = "SELECT rowid FROM verdicts WHERE question = :number AND reviewer = :reviewer"
        with self._connected() as connection:
            row = connection.execute(
                f"SELECT id, slump_id, year FROM verdicts JOIN {_THERE} ON id = question WHERE reviewer = :reviewer "
                f"AND (NOT EXISTS ({order}) OR verdicts.rowid < ({order})) ORDER BY verdicts.rowid DESC LIMIT 1",
                {"reviewer": _as_known(connection, reviewer), "number": number},
            ).fetchone()
        return None if row is None else Question(*row)

    def answers_of(self, reviewer: str) -> list[tuple[Question, Said]]:
        """Return what somebody has said, each with its question, what was first answered last at the beginning."""
        with self._connected() as connection:
            reviewer = _as_known(connection, reviewer)
            rows = connection.execute(
                "SELECT id, slump_id, year, verdict, note, outline, reviewed_at FROM verdicts "
                f"JOIN {_THERE} ON id = question WHERE reviewer = ? ORDER BY verdicts.rowid DESC",
                (reviewer,),
            ).fetchall()
        return [
            (
                Question(*row[:3]),
                Said(reviewer=reviewer, verdict=row[3], note=row[4], outline=row[5], reviewed_at=row[6]),
            )
            for row in rows
        ]

    def answer(self, number: int, said: Said) -> None:
        """Write a verdict down; another one of the same person about the same question replaces it, and is later.

        Raises:
            ConfigError: If there is no such question or verdict.
            TakenError: If somebody else has answered it.
        """
        with self._connected() as connection:
            said = replace(said, reviewer=_as_known(connection, said.reviewer))
            known = connection.execute("SELECT reviewer FROM verdicts WHERE question = ?", (number,)).fetchall()
            if known and (said.reviewer,) not in known:
                raise TakenError(f"question {number} was answered by somebody else meanwhile")
            before = _said(connection, number, said.reviewer)
            if before is None:
                _write(connection, number, said)
            elif replace(before, reviewed_at="") != replace(said, reviewed_at=""):
                moment = max(said.reviewed_at, _just_after(before.reviewed_at))
                _write(connection, number, replace(said, reviewed_at=moment))

    def add(self, verdicts: Sequence[tuple[int, Said]]) -> int:
        """Write verdicts down that were said elsewhere, all or none; return how many are new or have changed.

        Others' verdicts on the same questions stay beside them; of one person's the one that was said last counts.

        Args:
            verdicts: Each with its question.

        Raises:
            ConfigError: If there is no such question or verdict.
        """
        n_new = 0
        known = "SELECT 1 FROM verdicts WHERE question = ? AND reviewer = ? AND reviewed_at >= ?"
        with self._connected() as connection:
            known_as = lru_cache(maxsize=None)(partial(_as_known, connection))
            for number, given in verdicts:
                said = replace(given, reviewer=known_as(given.reviewer))
                if connection.execute(known, (number, said.reviewer, said.reviewed_at)).fetchone() is None:
                    _write(connection, number, said)
                    n_new += 1
        return n_new

    def counts(self) -> dict[str, int]:
        """Return how many questions there are (`asked`), how many of them have a verdict (`answered`), and how many
        verdicts there are of each kind.
        """  # noqa: D205  (what comes out is the sentence)
        answers = f"FROM verdicts JOIN {_THERE} ON id = question"
        with self._connected() as connection:
            (asked,) = connection.execute(f"SELECT count(*) FROM {_THERE}").fetchone()
            (answered,) = connection.execute(f"SELECT count(DISTINCT question) {answers}").fetchone()
            said = dict(connection.execute(f"SELECT verdict, count(*) {answers} GROUP BY verdict"))
        return {"asked": asked, "answered": answered, **{verdict: said.get(verdict, 0) for verdict in VERDICTS}}

    def said(self, number: int, reviewer: str) -> Said | None:
        """Return what somebody said about a question, None if nothing."""
        with self._connected() as connection:
            return _said(connection, number, _as_known(connection, reviewer))

    def share_in(self, slump_ids: Collection[str]) -> float:
        """Return which share of the slumps that are asked about some ids are, 0 to 1, of whatever years."""
        with self._connected() as connection:
            asked = {one for (one,) in connection.execute("SELECT DISTINCT slump_id FROM questions")}
        return len(asked.intersection(slump_ids)) / max(len(asked), 1)

    def open_questions(self) -> list[Question]:
        """Return the questions without a verdict, in order; of those that repeat another one all."""
        table = self.still_open()
        rows = zip(table["id"].tolist(), table["slump_id"].tolist(), table["year"].tolist(), strict=True)
        return [Question(*row) for row in rows]

    def still_open(self) -> pd.DataFrame:
        """Return the questions without a verdict, in order: `id slump_id year is_repeat`."""
        with self._connected() as connection:
            table = pd.read_sql_query(
                f"SELECT id, slump_id, year, repeat_of IS NOT NULL AS is_repeat FROM {_THERE} "
                "WHERE id NOT IN (SELECT question FROM verdicts) ORDER BY id",
                connection,
            )
        return table.astype({"is_repeat": bool})

    def verdicts(self) -> pd.DataFrame:
        """Return one row a verdict, by question and time: `question slump_id year batch weight repeat_of` (the
        question that asked the same first, Int64) `reviewer verdict note outline reviewed_at first_at` (when they first
        said something).
        """  # noqa: D205  (columns are no sentence)
        with self._connected() as connection:
            table = pd.read_sql_query(
                "SELECT question, slump_id, year, batch, weight, repeat_of, "
                "reviewer, verdict, note, outline, reviewed_at, first_at "
                "FROM verdicts JOIN questions ON id = question ORDER BY question, first_at, reviewer",
                connection,
            )
        return table.astype({"repeat_of": "Int64"})

    def _is_there(self, slump_id: str, year: int) -> bool:
        return self.there is None or (slump_id, year) in self.there

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one change, of which all is on the disk at the end or nothing."""
        if not self.file.is_file():
            raise ConfigError(f"there is no review {self.file}. Begin one with `darts review`.")
        try:
            with closing(sqlite3.connect(self.file, timeout=_WAIT_S, isolation_level=None)) as connection:
                connection.create_function("is_there", 2, self._is_there, deterministic=True)
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    if connection.in_transaction:  # of a full disk SQLite has taken it back already
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise DataError(f"the review {self.file} cannot be used ({one_line(error, 120)}).") from error


def one_name(name: str) -> str:
    """Return a name with single spaces between its words, and none around them."""
    return " ".join(name.split())


def _as_known(connection: sqlite3.Connection, name: str) -> str:
    """Return a name as it was first spelled: those that differ only in case or spaces are one person's."""
    wanted = one_name(name).casefold()
    spelled = connection.execute(
        "SELECT reviewer FROM (SELECT reviewer, min(rowid) AS place FROM verdicts GROUP BY reviewer) "
        "UNION ALL SELECT DISTINCT reviewer FROM leases"
    )
    return next((one for (one,) in spelled if one_name(one).casefold() == wanted), one_name(name))


def _said(connection: sqlite3.Connection, number: int, reviewer: str) -> Said | None:
    row = connection.execute(
        "SELECT verdict, note, outline, reviewed_at FROM verdicts WHERE question = ? AND reviewer = ?",
        (number, reviewer),
    ).fetchone()
    if row is None:
        return None
    return Said(reviewer=reviewer, verdict=row[0], note=row[1], outline=row[2], reviewed_at=row[3])


def _just_after(moment: str) -> str:
    """Return the time after another one, for where a clock was set back, or is another than that of a file."""
    return (datetime.fromisoformat(moment) + timedelta(microseconds=1)).isoformat(timespec="microseconds")


def _write(connection: sqlite3.Connection, number: int, said: Said) -> None:
    """Write a verdict of a person in place of an earlier one.

    Raises:
        ConfigError: If there is no such question or verdict.
    """
    if said.verdict not in VERDICTS:
        raise ConfigError(f"verdict is {said.verdict!r} but must be one of {', '.join(VERDICTS)}.")
    if connection.execute("SELECT 1 FROM questions WHERE id = ?", (number,)).fetchone() is None:
        raise ConfigError(f"there is no question {number}.")
    row = (number, said.reviewer, said.verdict, said.note, said.outline, said.reviewed_at, said.reviewed_at)
    # the row stays where it is: by its place one goes back in the order in which things were first said
    connection.execute(
        "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (question, reviewer) DO UPDATE SET "
        "verdict = excluded.verdict, note = excluded.note, outline = excluded.outline, "
        "reviewed_at = excluded.reviewed_at",
        row,
    )
    connection.execute("DELETE FROM leases WHERE question = ?", (number,))
