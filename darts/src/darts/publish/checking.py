"""What is wrong with a catalogue, in words."""

from pathlib import Path

from darts.utils.terminal import say
from darts_export.publish.checking.catalogue import check_catalogue
from darts_utils.errors import DataError
from darts_utils.paths import user_path
from darts_utils.text import counted

_SHOWN = 50


def check_published(catalogue: Path) -> None:
    """Say what is wrong with a catalogue.

    Raises:
        DataError: If anything is.
    """
    folder = user_path(catalogue)
    found = check_catalogue(folder)
    for one in found[:_SHOWN]:
        say(f"{one.file} {one.what}. {one.advice}")
    if len(found) > _SHOWN:
        say(f"and {len(found) - _SHOWN:,} more")
    if found:
        raise DataError(f"{counted(len(found), 'fault')} in {folder}. Correct them, or publish it again.")
    say(f"{folder}: all is as it says.")
