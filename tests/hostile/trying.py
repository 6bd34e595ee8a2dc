"""Trials as parameters of tests."""

import pytest

from hostile.families import FAMILIES
from hostile.trials import draw

shown_warnings = pytest.mark.filterwarnings(
    "default", "ignore:Use `@` matmul:PendingDeprecationWarning", "ignore:The 'shapely.ops.transform:DeprecationWarning"
)
"""Of libraries that spoil things on purpose; not those of odc-geo's own code, which are passed over everywhere."""
_TRIALS = draw(FAMILIES)


def parametrized(*, by_command):
    """Return the mark that gives a test the trials of one way to run them."""
    trials = [trial for trial in _TRIALS if trial.by_command == by_command]
    return pytest.mark.parametrize("trial", trials, ids=[trial.name for trial in trials])
