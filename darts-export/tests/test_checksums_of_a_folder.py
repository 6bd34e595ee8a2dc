"""`checksums.sha256`, read by `sha256sum` itself."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from darts_export.publish.checksums import parsed, write_checksums
from darts_utils.errors import DataError

SHA256SUM = shutil.which("sha256sum")
NAMES = ["a.txt", "b/c d.bin", "b/è.txt", "B.txt", "b/two\nlines", "b/back\\slash", "*star", " space", "-c"]


@pytest.fixture
def folder(tmp_path) -> Path:
    for number, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes([number]) * 1000 * number)
    return tmp_path


@pytest.mark.skipif(SHA256SUM is None, reason="needs sha256sum")
def test_sha256sum_finds_all_files_true_and_one_that_changed(folder):
    write_checksums(folder)
    command = ["sha256sum", "-c", "--strict", "checksums.sha256"]
    checked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.count(": OK\n") == len(NAMES)
    (folder / "b/two\nlines").write_text("other")
    checked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert "\\b/two\\nlines: FAILED\n" in checked.stdout


@pytest.mark.skipif(SHA256SUM is None, reason="needs sha256sum")
def test_its_lines_are_those_of_sha256sum(folder):
    write_checksums(folder)
    ours = (folder / "checksums.sha256").read_bytes()
    theirs = subprocess.run(["sha256sum", "--", *sorted(NAMES)], cwd=folder, capture_output=True, check=True).stdout
    assert ours == theirs


def test_lines_are_read_as_they_were_written(folder):
    write_checksums(folder)
    found = {path: digest for _, digest, path in parsed((folder / "checksums.sha256").read_bytes())}
    assert found == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in NAMES}


def test_what_would_be_the_same_is_left_alone(folder):
    assert write_checksums(folder)
    before = (folder / "checksums.sha256").stat()
    assert not write_checksums(folder)
    assert (folder / "checksums.sha256").stat() == before
    (folder / "a.txt").write_text("other")
    assert write_checksums(folder)


def test_what_a_copy_would_lack_is_refused(folder):
    (folder / "out").symlink_to("/etc/hostname")
    with pytest.raises(DataError) as refused:
        write_checksums(folder)
    assert str(refused.value) == (
        f"{folder}/out is a link that leads out of the folder, to nothing or to a folder. "
        "Put the file itself there, or remove it."
    )
    (folder / "out").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(DataError, match=r"pipe is neither a file nor a folder\. Remove it\."):
        write_checksums(folder)


def test_older_forms_of_lines_are_read(folder):
    digest = "AB" * 32
    content = f"{digest} *binary.bin\n{digest}  text.txt\n{digest}\tno.txt\n".encode()
    assert list(parsed(content)) == [(1, digest.lower(), "binary.bin"), (2, digest.lower(), "text.txt"), (3, "", "")]
