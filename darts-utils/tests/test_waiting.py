import pytest

from darts_utils.machine.waiting import wait_briefly


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_what_the_environment_says_stays(monkeypatch, given, spins):
    environment = dict(given)
    monkeypatch.setattr("darts_utils.machine.waiting.os.environ", environment)
    wait_briefly()
    assert environment.get("GOMP_SPINCOUNT") == spins
