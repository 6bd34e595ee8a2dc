"""The schema of config files accepts what is documented, and nothing that no command reads."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from darts.cli import app
from darts.config.declared import all_commands, by_key
from darts.config.own_keys import own_keys
from darts.config.schema import config_schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(
        json.dumps(config_schema({**by_key(all_commands(app, with_help=True)), "keep_logs": own_keys()}))
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def documented() -> dict[str, str]:
    lines = (ROOT / "config.toml").read_text().splitlines()
    example = "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
    (guide,) = re.findall(r"```toml\n(\[darts\].*?)```", (ROOT / "docs/guides/config.md").read_text(), re.DOTALL)
    return {"example": example, "guide": guide, "as it is": "\n".join(lines)}


@pytest.mark.parametrize("name", ["example", "guide", "as it is"])
def test_what_is_documented_is_accepted(validator, name):
    assert [error.message for error in validator.iter_errors(tomllib.loads(documented()[name]))] == []


@pytest.mark.parametrize(
    "text",
    [
        "[darts]\npatch_siez = 512",
        "[darts.a.b]\npatch-siez = 512",
        "[darts]\noverlap = 'ten'",
        "[darts]\noverlap = [1]",
        "[darts]\ntta = 'ful'",
        "[darts]\nmodels_dir = {a = 1}",
        "[darts]\nshard = true",
        "[[darts]]\noverlap = 1",
    ],
)
def test_what_is_wrong_is_refused(validator, text):
    assert not validator.is_valid(tomllib.loads(text))


@pytest.mark.parametrize(
    "text", ["darts.a.b.overlap = 3\ntool.x = 1", "[darts]\nmonths = 7\noverlap = '${N}'", "[darts]\npatch-size='auto'"]
)
def test_what_is_right_is_accepted(validator, text):
    assert validator.is_valid(tomllib.loads(text))


def test_keys_have_their_default_and_meaning(validator):
    assert validator.schema["$defs"]["binarization_threshold"]["default"] == 0.5
    assert validator.schema["$defs"]["overlap"]["description"].startswith("Overlap of neighbouring patches")
