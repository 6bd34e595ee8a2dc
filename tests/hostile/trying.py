"""Trials as parameters of tests."""

import pytest

from hostile.families import FAMILIES
from hostile.trials import draw

_TRIALS = draw(FAMILIES)


def parametrized(*, by_command):
    """Return the mark that gives a test the trials of one way to run them."""
    trials = [trial for trial in _TRIALS if trial.by_command == by_command]
    return pytest.mark.parametrize("trial", trials, ids=[trial.name for trial in trials])
