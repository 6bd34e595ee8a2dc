import gc
import subprocess
import sys
import weakref

import pytest

from darts_utils.machine.memory import give_back, spared_from_search

# page faults of the second of two arrays of 64 MiB, made and freed in a thread
FAULTS = """
import resource, sys, threading
import numpy as np
from darts_utils.machine.memory import keep_freed

def work():
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.empty(2**26, np.uint8).reshape(-1, 4096)[:, 0] = 1
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

faults = []
if sys.argv[1] == "keep":
    keep_freed()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(faults[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
def test_freed_memory_is_used_again_once_it_is_kept():
    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        # huge pages would hide most of the faults
        run = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"NUMPY_MADVISE_HUGEPAGE": "0", "PATH": ""}
        )
        return int(run.stdout)

    assert faults("plain") > 1000
    assert faults("keep") < 100


def test_objects_that_were_there_before_are_not_searched_and_are_found_again_afterwards():
    def made():
        cycle = [object()]
        cycle.append(cycle)
        return weakref.ref(cycle_of(cycle))

    give_back()
    before = made()
    with spared_from_search():
        assert before() is None, "what is garbage already goes first"
        assert gc.get_freeze_count() > 1000
        within = made()
        give_back()
        assert within() is None
    assert gc.get_freeze_count() == 0


class Held:
    """Something that can be referred to weakly."""


def cycle_of(others):
    held = Held()
    held.others, held.itself = others, held
    return held
