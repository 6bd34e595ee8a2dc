"""What is written is whole or absent."""

import os
import subprocess
import sys
import threading
import time

import pytest

from darts_utils.errors import OutputError
from darts_utils.files import (
    atomic_file,
    atomic_folder,
    exclusive_lock,
    is_part,
    label_parts,
    make_folder,
    part_path,
    remove_parts,
    stale_parts,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends_well(tmp_path):
    with atomic_file(tmp_path / "deep" / "a.txt") as part:
        part.write_text("whole")
        assert part.suffix == ".txt"
        assert not (tmp_path / "deep" / "a.txt").exists()
        assert is_part(part)
    assert (tmp_path / "deep" / "a.txt").read_text() == "whole"
    assert names(tmp_path / "deep") == ["a.txt"]


def _write_half_and_fail(part):
    part.write_text("half")
    raise RuntimeError("broken off")


def test_a_failed_file_leaves_nothing_and_the_old_one_in_place(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError, match="broken off"), atomic_file(tmp_path / "a.txt") as part:
        _write_half_and_fail(part)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene" / "old.txt").write_text("old")
    with atomic_folder(tmp_path / "scene") as part:
        (part / "sub").mkdir()
        (part / "sub" / "new.txt").write_text("new")
        assert (tmp_path / "scene" / "old.txt").exists()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["new.txt", "scene", "sub"]


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="broken off"), atomic_folder(tmp_path / "scene") as part:
        _write_half_and_fail(part / "a.txt")
    assert names(tmp_path) == []


@pytest.fixture
def part_of(tmp_path):
    """Make a part as another process would, by writing one and giving its name another owner."""
    with atomic_file(tmp_path / "x.tif") as mine:
        mine.touch()
    host, own_pid = mine.name.split(".part-")[1].split("-")[:2]
    (tmp_path / "x.tif").unlink()
    assert own_pid == str(os.getpid())

    def make(stem, pid, host=host):
        path = tmp_path / f".{stem}.part-{host}-{pid}-abc.tif"
        path.touch()
        return path.name

    return make


@pytest.fixture
def dead_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_parts_of_dead_processes_are_removed_and_those_of_living_ones_kept(tmp_path, part_of, dead_pid):
    part_of("dead", dead_pid)
    (tmp_path / ".folder.part-nonsense").mkdir()
    os.utime(tmp_path / ".folder.part-nonsense", (0, 0))
    kept = [part_of("parent", os.getppid()), part_of("own", os.getpid())]
    (tmp_path / "whole.tif").write_text("whole")
    assert remove_parts(tmp_path) == 2
    assert names(tmp_path) == sorted([*kept, "whole.tif"])


def test_own_parts_go_before_the_end(tmp_path, part_of):
    part_of("own", os.getpid())
    assert remove_parts(tmp_path, own=True) == 1


def test_parts_of_another_machine_are_left_for_a_day(tmp_path, part_of, dead_pid):
    fresh, old = part_of("fresh", dead_pid, "node7"), part_of("old", dead_pid, "node7")
    os.utime(tmp_path / old, (time.time() - 100_000,) * 2)
    assert remove_parts(tmp_path) == 1
    assert names(tmp_path) == [fresh]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught:
        make_folder(tmp_path / "file" / "sub")
    assert str(caught.value) == (
        f"cannot make the folder {tmp_path / 'file' / 'sub'}: Not a directory. Choose another folder."
    )


def test_a_lock_keeps_others_out(tmp_path):
    order = []

    def second():
        with exclusive_lock(tmp_path / "cube.lock"):
            order.append("second")

    with exclusive_lock(tmp_path / "cube.lock"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_held_too_long_says_so(tmp_path):
    def hold_twice():
        with exclusive_lock(tmp_path / "cube.lock", timeout_s=0.1):
            pass

    errors = []

    def other_thread():
        try:
            hold_twice()
        except OutputError as error:
            errors.append(str(error))

    with exclusive_lock(tmp_path / "cube.lock"):
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()
    assert errors == [f"{tmp_path / 'cube.lock'} is still locked by another process after 0.1 s. Wait for it."]


def test_parts_with_a_label_go_wherever_they_were_made_and_only_those(tmp_path):
    elsewhere = "otherhost-12"
    for name in (f".a.part-{elsewhere}-run1-ff", f".b.part-{elsewhere}-run1-ff", f".a.part-{elsewhere}-run2-ff"):
        (tmp_path / name).mkdir()
    assert remove_parts(tmp_path, label="run1", stem="a") == 1
    assert not (tmp_path / f".a.part-{elsewhere}-run1-ff").exists()
    assert remove_parts(tmp_path, label="run1") == 1
    assert [path.name for path in tmp_path.iterdir()] == [f".a.part-{elsewhere}-run2-ff"]


def test_a_process_can_label_what_it_leaves(tmp_path):
    label_parts("run7")
    try:
        part = part_path(tmp_path / "a.tif")
    finally:
        label_parts("0")
    part.touch()
    assert part.suffix == ".tif"
    assert remove_parts(tmp_path) == 0, "this process still runs"
    assert remove_parts(tmp_path, label="run7") == 1


def test_what_others_with_the_same_label_left_can_be_gone_on_from(tmp_path):
    final = tmp_path / "a.zarr"
    for name in (".a.part-otherhost-12-run1-ff.zarr", ".a.part-otherhost-12-run2-ff.zarr", ".b.part-x-1-run1-ff.zarr"):
        (tmp_path / name).mkdir()
    assert stale_parts(tmp_path, final) == []
    label_parts("run1")
    try:
        part_path(final).mkdir()
        found = stale_parts(tmp_path, final)
    finally:
        label_parts("0")
    assert [path.name for path in found] == [".a.part-otherhost-12-run1-ff.zarr"]


@pytest.mark.parametrize("kind", ["file", "link", "broken link"])
def test_what_a_user_put_in_the_place_of_a_folder_is_refused_and_stays(tmp_path, kind):
    final, work = tmp_path / "final", tmp_path / "work"
    work.mkdir()
    (work / "thesis").write_text("work")
    if kind == "file":
        final.write_text("mine")
    else:
        final.symlink_to(work if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(OutputError) as caught, atomic_folder(final):
        raise AssertionError("nothing may be made")
    assert str(caught.value) == (
        f"{final} is a {kind.split()[-1]}, where a folder is to be made, and it is not replaced. "
        "Move it elsewhere, or choose another folder."
    )
    assert final.is_symlink() or final.read_text() == "mine"
    assert (work / "thesis").read_text() == "work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final", "work"]
