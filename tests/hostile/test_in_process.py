"""Runs over spoiled inputs end with the right map, or with a line that says why not.

`DARTS_TEST_HOSTILE` sets how many there are. A trial is run alone by its number: `pytest tests/hostile -k 0123`.
"""

import pytest

from hostile.running import TIMEOUT_S
from hostile.trying import parametrized, shown_warnings


@pytest.mark.timeout(TIMEOUT_S + 15)
@shown_warnings
@pytest.mark.usefixtures("quiet_process")
@parametrized(by_command=False)
def test_a_run_over_a_spoiled_world_ends_well(trial, attempt):
    attempt(trial)
