"""Text files of other systems."""

import codecs

import pytest

from darts_utils.text import read_text


@pytest.mark.parametrize(
    "content",
    [
        "été\r\n".encode(),
        "été\r\n".encode("utf-8-sig"),
        "été\r\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "été\r\n".encode("utf-16-be"),
        "été\r\n".encode("utf-32"),
    ],
)
def test_text_is_read_in_what_its_mark_says_and_without_the_mark(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert read_text(tmp_path / "file") == "été\r\n"


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "file").write_bytes("été".encode("latin-1"))
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "file")
