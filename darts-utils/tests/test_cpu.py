from darts_utils.machine import cpu
from darts_utils.machine.cpu import limit_cores, physical_cores, usable_cores


def test_two_threads_of_a_core_are_one(tmp_path):
    for number, siblings in enumerate(("0,4", "1,5", "2,6", "3,7") * 2):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{siblings}\n")
    assert physical_cores(frozenset(range(8)), tmp_path) == 4
    assert physical_cores(frozenset({0, 4}), tmp_path) == 1
    assert physical_cores(frozenset({0, 1, 6}), tmp_path) == 3


def test_where_nobody_tells_each_cpu_is_a_core(tmp_path):
    assert physical_cores(frozenset(range(6)), tmp_path) == 6


def test_the_smallest_limit_counts(monkeypatch):
    monkeypatch.setattr(cpu, "_most", [1024])
    monkeypatch.setattr(cpu, "physical_cores", lambda _: 3)
    monkeypatch.setattr(cpu.cv2, "getNumberOfCPUs", lambda: 5)
    monkeypatch.setattr(cpu.cv2, "setNumThreads", lambda _: None)
    assert usable_cores() == 3
    limit_cores(2)
    assert usable_cores() == 2
    monkeypatch.setattr(cpu.cv2, "getNumberOfCPUs", lambda: 1)
    assert usable_cores() == 1
