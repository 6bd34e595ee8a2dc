"""What is written is whole or absent."""

import errno
import os
import subprocess
import sys
import threading
import time

import pytest

from darts_utils.errors import OutputError
from darts_utils.files import (
    _own_host,
    atomic_file,
    atomic_folder,
    exclusive_lock,
    is_part,
    label_parts,
    make_folder,
    new_file,
    part_path,
    remove_parts,
    replace_folder,
    stale_parts,
    turn,
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


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS])
def test_a_new_file_needs_no_hard_links(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.link", refuse)
    with new_file(tmp_path / "a") as part:
        part.write_text("first")
    with pytest.raises(FileExistsError), new_file(tmp_path / "a") as part:
        part.write_text("second")
    assert (tmp_path / "a").read_text() == "first"
    assert names(tmp_path) == ["a"]


def test_what_else_keeps_a_new_file_from_its_place_is_said(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(OSError, match="Input/output error"), new_file(tmp_path / "a") as part:
        part.write_text("first")
    assert names(tmp_path) == []


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def no_locks(request, monkeypatch):
    """A file system without locks."""

    def refuse(*_):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", refuse)


def test_a_lock_keeps_others_out_where_the_file_system_knows_none(tmp_path, no_locks):
    order = []

    def second():
        with exclusive_lock(tmp_path / "cube.lock"):
            order.append("second")

    with exclusive_lock(tmp_path / "cube.lock"):
        thread = threading.Thread(target=second)
        thread.start()
        with pytest.raises(OutputError) as caught, exclusive_lock(tmp_path / "cube.lock", timeout_s=0):
            pass
        order.append("first")
    thread.join()
    assert str(caught.value) == f"{tmp_path / 'cube.lock'} is still locked by another process after 0 s. Wait for it."
    assert order == ["first", "second"]
    assert names(tmp_path) == ["cube.lock"]


def test_a_lock_whose_owner_is_silent_is_taken_over(tmp_path, no_locks):
    left = tmp_path / "cube.lock.held"
    left.touch()
    os.utime(left, (time.time() - 3600,) * 2)
    with exclusive_lock(tmp_path / "cube.lock", timeout_s=0):
        assert left.stat().st_mtime > time.time() - 60
    assert names(tmp_path) == ["cube.lock"]


def test_the_owner_of_a_lock_keeps_it_fresh(tmp_path, no_locks, monkeypatch):
    monkeypatch.setattr("darts_utils.machine.softlock._BEAT_S", 0.01)
    with exclusive_lock(tmp_path / "cube.lock"):
        os.utime(tmp_path / "cube.lock.held", (0, 0))
        deadline = time.monotonic() + 5
        while (tmp_path / "cube.lock.held").stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / "cube.lock.held").stat().st_mtime > 0


def test_a_lock_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "cube.lock").mkdir()
    with pytest.raises(OutputError) as caught, exclusive_lock(tmp_path / "cube.lock"):
        pass
    assert str(caught.value) == f"cannot write {tmp_path / 'cube.lock'}: Is a directory. Choose another folder."


def test_turns_are_taken_where_the_file_system_knows_no_locks(tmp_path, no_locks):
    order = []

    def second():
        with turn(tmp_path):
            order.append("second")

    with turn(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert names(tmp_path) == []


def test_many_who_replace_a_folder_leave_one_whole_folder(tmp_path):
    errors = []

    def replace(number):
        try:
            for step in range(15):
                with atomic_folder(tmp_path / "scene") as part:
                    for name in "ab":
                        (part / name).write_text(f"{number} {step}")
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert names(tmp_path) == ["scene"]
    assert (tmp_path / "scene" / "a").read_text() == (tmp_path / "scene" / "b").read_text()


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path):
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene" / "old").touch()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "nothing", tmp_path / "scene")
    assert names(tmp_path) == ["scene"]
    assert names(tmp_path / "scene") == ["old"]


def test_a_part_that_is_written_into_is_not_taken_for_dead(tmp_path):
    part = tmp_path / ".scene.part-elsewhere-12-0-ff.zarr"
    (part / "deep").mkdir(parents=True)
    (part / "deep" / "chunk").touch()
    for path in (part, part / "deep"):
        os.utime(path, (time.time() - 100_000,) * 2)
    assert remove_parts(tmp_path) == 0
    os.utime(part / "deep" / "chunk", (time.time() - 100_000,) * 2)
    assert remove_parts(tmp_path) == 1


@pytest.mark.parametrize("differs", ["name", "boot", "namespace"])
def test_processes_that_cannot_be_seen_are_of_another_host(monkeypatch, differs):
    def host(name="node", boot="b", namespace="pid:[1]"):
        monkeypatch.setattr("platform.node", lambda: name)
        monkeypatch.setattr("pathlib.Path.read_text", lambda _: boot)
        monkeypatch.setattr("pathlib.Path.readlink", lambda _: namespace)
        return _own_host()

    assert host() == host()
    assert host(**{differs: "other"}) != host()
    assert "-" not in host()
