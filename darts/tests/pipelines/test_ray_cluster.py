"""The Ray that runs join: one without what is set in its private modules is refused before anything is started."""

import socket

import pytest

from darts.pipelines.ray import cluster as ray_cluster
from darts_utils.errors import ConfigError

ray = pytest.importorskip("ray")


def test_a_ray_without_a_private_name_is_refused_before_it_starts(monkeypatch):
    monkeypatch.delattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER")
    with pytest.raises(ConfigError) as refused, ray_cluster.connected(None):
        pass
    assert str(refused.value) == (
        f"Ray {ray.__version__} has no ray._private.ray_constants.ENABLE_RAY_CLUSTER, which keeps a cluster quiet and "
        'closed to others. Install a Ray that fits: pip install "darts-nextgen[ray]".'
    )
    assert not ray.is_initialized()


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "auto"])
def test_an_address_at_which_nobody_answers_is_refused_at_once(monkeypatch, address):
    with socket.socket() as taken:  # and nobody listens there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        with (
            pytest.raises(ConfigError, match=rf"^there is no Ray cluster at 127\.0\.0\.1:{port} that can be joined \("),
            ray_cluster.connected(address.format(port=port)),
        ):
            pass
    assert not ray.is_initialized()


def test_a_ray_whose_private_module_is_gone_is_refused(monkeypatch):
    monkeypatch.setattr(ray_cluster, "_PRIVATE", {"ray._moved.worker": ("print_to_stdstream",)})
    with pytest.raises(ConfigError, match=r"has no ray\._moved\.worker\.print_to_stdstream"):
        ray_cluster.check_private()
