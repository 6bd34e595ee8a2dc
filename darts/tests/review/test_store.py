"""The file of a review: who gets what, what was said, and that nothing is lost or doubled."""

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from dataclasses import replace

import pandas as pd
import pytest

from darts.review import store
from darts.review.store import LEASED_S, Review, Said, TakenError
from darts_utils.errors import ConfigError, DataError


def questions(number, repeats=()):
    """Return that many questions; of repeats each names a place that is asked again at the end."""
    rows = [{"slump_id": f"s{one:04d}", "repeat_of": None} for one in range(number)]
    rows += [{"slump_id": f"s{one:04d}", "repeat_of": one} for one in repeats]
    return pd.DataFrame(rows).assign(year=2024, batch=0, weight=1.0)


@pytest.fixture
def review(tmp_path):
    def begin(number=5, repeats=()):
        made = Review(tmp_path / "review.sqlite")
        made.begin(questions(number, repeats), {"plan": "all"})
        return made

    return begin


def test_what_is_asked_comes_in_order_and_what_somebody_holds_comes_to_nobody_else(review):
    some = review(3)
    assert some.about == {"version": "2", "plan": "all"}
    assert [some.next_question(who, now=0.0).id for who in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert some.next_question("d", now=1.0) is None
    assert some.next_question("d", now=LEASED_S + 1).id == 1


def test_a_verdict_is_there_once_and_its_author_may_change_it(review):
    some = review(2)
    some.answer(1, Said(reviewer="a", verdict="slump", note="x <b>"))
    some.answer(1, Said(reviewer="a", verdict="slump", note="x <b>"))
    some.answer(1, Said(reviewer="a", verdict="not", outline="{}"))
    with pytest.raises(TakenError):
        some.answer(1, Said(reviewer="b", verdict="slump"))
    (row,) = some.verdicts().to_dict(orient="records")
    assert (row["question"], row["slump_id"], row["reviewer"], row["verdict"]) == (1, "s0000", "a", "not")
    assert (row["note"], row["outline"]) == ("", "{}")
    assert some.counts() == {"asked": 2, "answered": 1, "slump": 0, "not": 1, "unsure": 0}
    assert some.next_question("a", now=0.0).id == 2


def test_one_goes_back_step_by_step(review):
    some = review(4)
    for number in (1, 2, 3):
        some.answer(number, Said(reviewer="a", verdict="slump"))
    some.answer(4, Said(reviewer="b", verdict="slump"))
    assert some.answered_before("a", None).id == 3
    assert some.answered_before("a", 3).id == 2
    some.answer(2, Said(reviewer="a", verdict="not"))  # it stays where it was
    assert [some.answered_before("a", number).id for number in (3, 2)] == [2, 1]
    assert some.answered_before("a", 1) is None
    assert some.answered_before("c", None) is None


@pytest.mark.parametrize("change", [{"verdict": "not"}, {"note": "a bank"}, {"outline": "{}"}])
def test_the_last_word_of_a_person_counts_and_an_older_file_changes_nothing(review, change):
    some, clock = review(1), "2026-07-01T10:00:00.000000+00:00"
    from_file = Said(reviewer="a", verdict="slump", reviewed_at=clock)
    assert some.add([(1, from_file)]) == 1
    some.answer(1, replace(from_file, reviewed_at="2026-07-09T10:00:00.000000+00:00"))
    assert some.said(1, "a").reviewed_at == clock, "the same again is no later word"
    for later in ("2026-07-02T10:00:00.000000+00:00", "2026-06-01T10:00:00.000000+00:00"):  # a clock was set back
        before = some.said(1, "a")
        some.answer(1, replace(before, reviewed_at=later, **change))
        found = some.said(1, "a")
        assert found.reviewed_at == later or found == before
        assert found.reviewed_at > clock
        assert some.verdicts()["first_at"].tolist() == [clock]
        assert some.add([(1, from_file)]) == 0
        assert some.said(1, "a") == found
    some.answer(1, replace(from_file, reviewed_at="2026-06-01T10:00:00.000000+00:00"))
    assert some.said(1, "a").reviewed_at == "2026-07-02T10:00:00.000001+00:00"


def test_half_of_what_is_asked_again_goes_to_its_author_and_half_to_others(review):
    some = review(4, repeats=(0, 1))  # questions 5 and 6
    for number in (1, 2, 3):
        some.answer(number, Said(reviewer="a", verdict="slump"))
    assert some.next_question("b", now=0.0).id == 4
    assert some.next_question("a", now=0.0).id == 6
    some.answer(4, Said(reviewer="b", verdict="slump"))
    assert some.next_question("b", now=0.0).id == 5
    some.answer(6, Said(reviewer="a", verdict="not"))
    some.answer(5, Said(reviewer="b", verdict="not"))
    assert some.next_question("a", now=0.0) is None
    assert some.verdicts()["repeat_of"].tolist() == [pd.NA] * 4 + [1, 2]


def test_who_is_alone_is_asked_all_again(review):
    some = review(2, repeats=(0, 1))
    for number in (1, 2, 4, 3):
        assert some.next_question("a", now=0.0).id == number
        some.answer(number, Said(reviewer="a", verdict="slump"))
    assert some.next_question("a", now=0.0) is None


def test_names_that_differ_in_case_or_spaces_are_one_person(review):
    some = review(3, repeats=(0,))
    assert some.next_question("Ann  Lee", now=0.0).id == 1
    assert some.next_question(" ann lee ", now=1.0).id == 1, "it is held for the same person"
    some.answer(1, Said(reviewer="ANN LEE", verdict="slump", reviewed_at="2026-07-01"))
    some.answer(1, Said(reviewer="ann lee", verdict="not", reviewed_at="2026-07-02"))
    some.add([(1, Said(reviewer="Ann Lee ", verdict="unsure", reviewed_at="2026-07-03"))])
    some.add([(2, Said(reviewer="aNN lEE", verdict="slump")), (2, Said(reviewer="Ann-Lee", verdict="slump"))])
    found = some.verdicts()
    assert found["reviewer"].tolist() == ["Ann Lee", "Ann Lee", "Ann-Lee"], "as it was first spelled"
    assert found["verdict"].tolist()[0] == "unsure"
    assert some.said(1, "ann LEE").verdict == "unsure"
    assert some.answered_before("ann lee", None).id == 2
    assert [one.id for one, _ in some.answers_of("ANN LEE")] == [2, 1]


def test_what_is_likely_asked_next_is_held_for_nobody(review):
    some = review(4)
    assert some.next_question("a", now=0.0).id == 1
    assert some.next_question("b", now=0.0).id == 2
    assert some.likely_next("a", 1, now=0.0).id == 3
    assert some.next_question("c", now=0.0).id == 3
    assert some.likely_next("a", 4, now=0.0) is None


def test_questions_about_slumps_that_are_gone_come_back_with_them(review):
    every = review(4, repeats=(1,))
    every.answer(1, Said(reviewer="a", verdict="slump"))
    every.answer(4, Said(reviewer="a", verdict="not"))
    before = every.counts(), every.still_open().to_dict()
    some = replace(every, there=frozenset({("s0002", 2024), ("s0003", 2024), ("s0001", 1999)}))
    assert some.next_question("b", now=0.0).id == 3
    assert some.likely_next("c", 1, now=0.0) is None
    assert [one.id for one in some.open_questions()] == [3]
    assert some.counts() == {"asked": 2, "answered": 1, "slump": 0, "not": 1, "unsure": 0}
    assert some.question(1) is None
    assert some.answered_before("a", 4) is None, "nobody can be shown what is gone"
    assert (every.counts(), every.still_open().to_dict()) == before
    assert every.next_question("a", now=0.0).id == 2
    assert every.said(1, "a").verdict == "slump"
    assert every.said(1, "b") is None


def test_a_review_knows_its_slumps_in_whatever_year(review):
    some = review(4, repeats=(1,))
    assert some.share_in({"s0000", "s0001", "other"}) == 0.5
    assert some.share_in({"other"}) == 0.0


def test_nothing_is_asked_again_before_it_was_answered(review):
    some = review(1, repeats=(0,))
    assert some.next_question("a", now=0.0).id == 1
    assert some.next_question("b", now=0.0) is None


@pytest.mark.parametrize(
    ("number", "verdict", "said"), [(9, "slump", "no question 9"), (1, "maybe", "one of slump, not")]
)
def test_what_makes_no_sense_is_refused(review, number, verdict, said):
    with pytest.raises(ConfigError, match=said):
        review().answer(number, Said(reviewer="a", verdict=verdict))


def test_a_file_that_is_none_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no review .*none\.sqlite"):
        Review(tmp_path / "none.sqlite").counts()
    (tmp_path / "bad.sqlite").write_text("no database " * 100)
    with pytest.raises(DataError, match=r"bad\.sqlite cannot be used \(file is not a database\)"):
        Review(tmp_path / "bad.sqlite").counts()


def test_a_full_disk_is_told_of(review, monkeypatch):
    some = review(1)

    def fail(connection, *_):
        connection.execute("ROLLBACK")  # as SQLite does by itself
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "_write", fail)
    with pytest.raises(DataError, match=r"cannot be used \(database or disk is full\)"):
        some.answer(1, Said(reviewer="a", verdict="slump"))


def work(file, reviewer, seed):
    """Answer all that comes, and write down what was acknowledged."""
    some, chance = Review(file), random.Random(seed)
    with file.with_name(f"{reviewer}.acknowledged").open("a", buffering=1) as acknowledged:
        while (question := some.next_question(reviewer, now=time.time())) is not None:
            verdict = chance.choice(("slump", "not", "unsure"))
            time.sleep(0.005)  # people who are too fast have answered all before they are killed
            try:
                some.answer(question.id, Said(reviewer=reviewer, verdict=verdict))
            except TakenError:
                continue
            acknowledged.write(f"{question.id} {verdict}\n")


def said(review):
    return review.counts()["answered"]


def test_four_people_who_are_killed_again_and_again_lose_and_double_nothing(review):
    some = review(400, repeats=range(0, 400, 20))
    context, chance = multiprocessing.get_context("forkserver"), random.Random(5)
    context.set_forkserver_preload(["darts.review.store"])  # to import it takes seconds
    for turn in range(3):
        people = [context.Process(target=work, args=(some.file, name, turn)) for name in "abcd"]
        for one in people:
            one.start()
        if turn < 2:
            enough = 60 * (turn + 1) + chance.randrange(40)
            while said(some) < enough:
                time.sleep(0.005)
            for one in people:
                if one.is_alive():
                    os.kill(one.pid, signal.SIGKILL)
        for one in people:
            one.join()
        assert turn == 2 or said(some) < 420  # they were killed at work
    found = some.verdicts().set_index("question")
    assert len(found) == 420
    assert found.index.is_unique
    for name in "abcd":
        for line in some.file.with_name(f"{name}.acknowledged").read_text().splitlines():
            number, verdict = line.split()
            assert found.loc[int(number), ["reviewer", "verdict"]].tolist() == [name, verdict]
