"""Registries: what is read of them, and what is refused before anybody is asked."""

import pytest

from darts.models.registry import Entry, entry_of_url, find_entry, read_registry
from darts_utils.errors import ConfigError

HASH = "ab" * 32
URL = "https://example.org/files/coast%20line.safetensors?download=1"


def refused(function, *arguments):
    with pytest.raises(ConfigError) as caught:
        function(*arguments)
    return str(caught.value)


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "r.toml").write_text(f'[[models]]\nname = "a"\nurl = "{URL}"\nsha256 = "{HASH}"\nlicence = "MIT"\n')
    (tmp_path / "r.json").write_text(
        f'{{"models": [{{"name": "a", "url": "{URL}", "sha256": "{HASH}", "licence": "MIT"}}]}}'
    )
    expected = {"a": Entry(name="a", url=URL, sha256=HASH, licence="MIT")}
    assert read_registry(tmp_path / "r.toml") == read_registry(tmp_path / "r.json") == expected


def test_an_address_names_its_file():
    entry = entry_of_url(URL, f"sha256:{HASH.upper()}")
    assert (entry.name, entry.suffix, entry.sha256, entry.licence) == ("coast line", ".safetensors", HASH, None)


@pytest.mark.parametrize(
    ("url", "digest", "message"),
    [
        ("http://example.org/a.pt", HASH, "url is 'http://example.org/a.pt' but must begin with https://. There is no"
         " other way."),
        ("file:///a.pt", HASH, "url is 'file:///a.pt' but must begin with https://. There is no other way."),
        ("https://example.org/a.zip", HASH, "url is 'https://example.org/a.zip' but must end in .safetensors, .pt,"
         " .ckpt. Name the file itself."),
        ("https://example.org/a.pt", "abc", "sha256 is 'abc' but must be 64 hexadecimal digits. Correct it."),
    ],
)  # fmt: skip
def test_an_address_or_hash_that_cannot_be_is_refused(url, digest, message):
    assert refused(entry_of_url, url, digest) == message


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".hidden", "con"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    assert "cannot name a model" in refused(entry_of_url, "https://example.org/a.pt", HASH, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[models]", "is no TOML or JSON ("),
        ("a = 1", "has no list `models`. Give each model a table [[models]]."),
        ("models = [3]", "has no text for name, url, sha256 in its model 1. Correct it."),
        (f'[[models]]\nname="a"\nurl="{URL}"\nsha256="{HASH}"\nlicence=3', "has no text for licence in its model 1."),
        (f'[[models]]\nname="a"\nurl="ftp://x/a.pt"\nsha256="{HASH}"', ", model 1: url is 'ftp://x/a.pt' but must"),
        (f'[[models]]\nname="a"\nurl="{URL}"\nsha256="{HASH}"\n' * 2, "has a more than once. Keep one."),
    ],
)
def test_a_registry_that_is_wrong_is_refused(tmp_path, text, message):
    (tmp_path / "r.toml").write_text(text)
    said = refused(read_registry, tmp_path / "r.toml")
    assert said.removeprefix(f"the registry {tmp_path / 'r.toml'}").strip().startswith(message)


def test_a_registry_that_is_not_there_and_a_name_that_it_lacks_are_one_line(tmp_path):
    file = tmp_path / "r.toml"
    assert refused(find_entry, file, "a") == f"there is no registry {file}. Name one with --registry."
    file.write_text(f'[[models]]\nname="coast"\nurl="{URL}"\nsha256="{HASH}"\n')
    assert refused(find_entry, file, "coats") == (
        f"the registry {file} has no model 'coats'; it has coast. Did you mean coast?"
    )
