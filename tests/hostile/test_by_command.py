"""The same in a process of its own, as a user does it; a file of its own, so that it runs beside the others."""

import pytest

from hostile.running import TIMEOUT_S
from hostile.trying import parametrized, shown_warnings


@pytest.mark.timeout(TIMEOUT_S + 15)
@shown_warnings
@parametrized(by_command=True)
def test_a_command_over_a_spoiled_world_ends_well(trial, attempt):
    attempt(trial)
