"""The help of each command ends with three examples that can be typed."""

import shlex

import cyclopts
import pytest

from darts.cli import app
from darts.command_line.examples import EXAMPLES, examples_of
from darts.utils.config import config_parser

WITHOUT = {"hello", "shell", "help"}
"""Of which nobody asks how they are typed."""


def commands(below, before=()):
    for name in below:
        if not name.startswith("-"):
            inner = below[name]
            if inner.default_command is not None:
                yield " ".join((*before, name))
            else:
                yield from commands(inner, (*before, name))


ALL = sorted(set(commands(app)) - WITHOUT)


@pytest.mark.parametrize("command", ALL)
def test_each_command_has_three_examples_that_can_be_typed(command):
    lines = examples_of(command)
    assert len(set(lines)) == 3
    config_parser.__init__()
    config_parser.root_app = app
    common = {"--log-plain", "--log-json", "--strict-config"}
    for line in lines:
        tokens = [token for token in shlex.split(line)[1:] if token not in common]
        try:
            app.parse_args(tokens, exit_on_error=False, print_error=False)
        except cyclopts.CycloptsError as error:
            pytest.fail(f"{line}: {error}")


def test_no_example_is_of_a_command_that_is_not_there():
    assert set(EXAMPLES) <= set(ALL)


@pytest.mark.parametrize("typed", ["map sentinel2 --help", "-v status -h", "training train --help"])
def test_help_ends_with_them(darts_from_shell, typed):
    code, out, _ = darts_from_shell(*typed.split())
    command = " ".join(word for word in typed.split() if not word.startswith("-"))
    assert code == 0
    assert "Examples:" in out
    assert "".join(examples_of(command)[0].split()) in "".join(out.split())


def test_help_of_a_group_has_none(darts_from_shell):
    assert "Examples:" not in darts_from_shell("models", "--help")[1]
