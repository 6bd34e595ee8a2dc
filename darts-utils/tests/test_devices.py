"""Device specs."""

import pytest

torch = pytest.importorskip("torch", reason="torch is only there where a package that computes is installed")

from darts_utils.errors import ConfigError  # noqa: E402
from darts_utils.machine.devices import decide_device, device_name  # noqa: E402

GIB = 2**30


@pytest.fixture
def gpus(monkeypatch):
    def fake(*free_of_10_gib):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free_of_10_gib))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free_of_10_gib))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (free_of_10_gib[index] * GIB, 10 * GIB))

    return fake


def test_without_a_gpu_everything_falls_back_to_the_cpu_unless_a_gpu_is_asked_for(gpus):
    gpus()
    assert [str(decide_device(spec)) for spec in (None, "auto", "cpu")] == ["cpu", "cpu", "cpu"]
    with pytest.raises(ConfigError) as caught:
        decide_device("cuda")
    assert str(caught.value) == "device is 'cuda' but this machine has 0 usable GPUs. Use device cpu or auto."


def test_with_gpus_the_first_is_the_default_and_auto_takes_the_freest(gpus):
    gpus(2, 8, 6)
    assert [str(decide_device(spec)) for spec in (None, "cuda", 2, "auto")] == ["cuda:0", "cuda:0", "cuda:2", "cuda:1"]


def test_auto_leaves_busy_gpus_alone(gpus):
    gpus(2, 4)
    assert str(decide_device("auto")) == "cpu"


@pytest.mark.parametrize("spec", ["gpu", -1, True])
def test_other_specs_are_refused(gpus, spec):
    gpus(8)
    with pytest.raises(ConfigError, match="must be cuda, cpu, auto or the number of a GPU"):
        decide_device(spec)


def test_a_gpu_is_called_by_its_make(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    assert device_name(torch.device("cuda", 1)) == "cuda:1 (card 1)"
    assert device_name(torch.device("cpu")) == "cpu"
