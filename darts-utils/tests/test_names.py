"""Names that come from elsewhere."""

import pytest

from darts_utils.errors import DataError
from darts_utils.names import check_name, is_id, name_fault

HOSTILE = [
    "/abs", "../up", "..", ".", "", " ", "a/b", "a\\b", "C:\\x", "a\x00b", "a\nb", "a\u202eb", "a\ud800b", "x" * 129,
    "é" * 65, ".hidden", "CON", "nul.zarr", "COM1", "a.", "a ", "a:b", "a?", None, 5, ["a"], {"a": 1}, b"a", True,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name)[:20])
def test_what_leads_elsewhere_or_cannot_be_written_is_no_name(name):
    assert name_fault(name) is not None
    assert not is_id(name)
    with pytest.raises(DataError):
        check_name(name, "a scene")


@pytest.mark.parametrize("name", ["S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418", "1154318", "a.b-c"])
def test_ids_are_names(name):
    assert name_fault(name) is None
    assert is_id(name)


def test_a_folder_of_a_user_may_have_blanks_and_accents_but_an_id_of_a_scene_has_none():
    assert name_fault("Tuktoyaktuk été (copy)") is None
    assert not is_id("Tuktoyaktuk été (copy)")


def test_the_message_is_one_short_line_whatever_a_service_sent():
    with pytest.raises(DataError) as caught:
        check_name("../\n" + "x" * 10_000, "a scene")
    assert str(caught.value) == (
        f"'../\\n{'x' * 54}... cannot name a scene: it begins with a dot. Use letters, digits, '_', '-', '.'."
    )
