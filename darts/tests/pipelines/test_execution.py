"""How much memory a run takes it may use: of the machine, the container, the job."""

from types import SimpleNamespace

import pytest

from darts.pipelines.computing.memory import _cgroup_limit_bytes, memory_budget_bytes

GIB = 2**30
JOB = "system.slice/slurmstepd.scope/job_1"


@pytest.fixture
def limits(tmp_path):
    """Make a tree of groups with limits, seen from a group; give the limit that is found."""

    def found(own, files):
        (tmp_path / "cgroup").write_text(own)
        for name, text in files.items():
            (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "fs" / name).write_text(f"{text}\n")
        return _cgroup_limit_bytes(tmp_path / "cgroup", tmp_path / "fs")

    return found


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        (f"0::/{JOB}/step_0/user", {f"{JOB}/memory.max": 8 * GIB, f"{JOB}/step_0/memory.max": "max"}, 8 * GIB),
        (f"0::/{JOB}/step_0", {f"{JOB}/memory.max": 8 * GIB, f"{JOB}/step_0/memory.max": 2 * GIB}, 2 * GIB),
        (f"0::/{JOB}/step_0", {f"{JOB}/step_0/memory.max": 9 * GIB, "system.slice/memory.max": 3 * GIB}, 3 * GIB),
        ("0::/", {"memory.max": 4 * GIB}, 4 * GIB),
        ("0::/../../job_1", {"memory.max": 4 * GIB}, 4 * GIB),
        ("0::/a", {"memory.max": 4 * GIB, "a/memory.high": 3 * GIB}, 3 * GIB),
        ("0::/", {"memory.max": "max"}, 2**62),
        (
            "4:cpu,cpuacct:/a\n9:memory:/slurm/uid_1/job_1/step_0\n0::/b",
            {"memory/slurm/uid_1/job_1/memory.limit_in_bytes": 5 * GIB, "memory/memory.limit_in_bytes": 2**63 - 4096},
            5 * GIB,
        ),
        ("9:memory:/docker/abc", {"memory/memory.limit_in_bytes": 6 * GIB}, 6 * GIB),
        ("1:name=memory-tree:/x", {"memory/x/memory.limit_in_bytes": GIB}, 2**62),
        ("", {}, 2**62),
        ("nonsense", {"memory.max": "nonsense"}, 2**62),
    ],
)
def test_the_smallest_limit_of_all_groups_above_counts(limits, own, files, limit):
    assert limits(own, files) == limit


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({"SLURM_MEM_PER_NODE": "8192"}, 8 * GIB),
        ({"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_ON_NODE": "4"}, 4 * GIB),
        ({"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_PER_TASK": "2"}, 2 * GIB),
        ({"SLURM_MEM_PER_NODE": "0"}, 16 * GIB),
        ({"SLURM_MEM_PER_NODE": "all"}, 16 * GIB),
        ({"SLURM_MEM_PER_CPU": "1024"}, 16 * GIB),
    ],
)
def test_what_slurm_gave_the_job_counts_too(monkeypatch, environment, limit):
    for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE", "CPUS_PER_TASK"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("darts.pipelines.computing.memory._cgroup_limit_bytes", lambda: 16 * GIB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=2**40))
    assert memory_budget_bytes(None) == limit // 2
    assert memory_budget_bytes(1.5) == 1.5 * GIB
