"""Trials as parameters of tests."""

import pytest

from hostile.families import FAMILIES
from hostile.known import ENDLESS, reason
from hostile.trials import draw

_TRIALS = draw(FAMILIES)


def parametrized(*, by_command):
    """Return the mark that gives a test the trials of one way to run them."""
    trials = [trial for trial in _TRIALS if trial.by_command == by_command]
    return pytest.mark.parametrize(
        "trial", [pytest.param(trial, id=trial.name, marks=_marks(trial)) for trial in trials]
    )


def _marks(trial):
    why, full = reason(trial.mutation), f"{trial.mutation.family}-{trial.mutation.name}"
    return [] if why is None else [pytest.mark.xfail(reason=why, strict=False, run=full not in ENDLESS)]
