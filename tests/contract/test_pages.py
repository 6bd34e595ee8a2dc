"""What pages written by hand say is all there: a command or product that no page names is as good as none."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import cyclopts
import pytest

from darts.cli import app
from darts.pipelines.auxiliary import LAYERS
from darts.pipelines.parameters import ExportParameters
from darts.pipelines.sources.registry import SCENE_CATALOGS
from darts_export.products import DEFAULT_BANDS, PRODUCTS
from darts_utils.bands import INDICES

ROOT = Path(__file__).resolve().parents[2]


def commands(tree: cyclopts.App, before: str = "darts") -> Iterator[str]:
    """Yield the commands below an app by their last two words, as the table of the README has them."""
    for name in tree:
        if name.startswith("-"):
            continue
        below = tree[name]
        yield from commands(below, name)
        if below.default_command is not None:
            yield name if before == "darts" else f"{before} {name}"


@pytest.mark.parametrize("command", sorted(set(commands(app))))
def test_every_command_is_in_the_table_of_the_readme(command):
    readme = (ROOT / "README.md").read_text()
    rows = [row.split(" | ")[0] for row in readme.splitlines() if row.startswith("| `darts")]
    words = {word for row in rows for word in re.findall(r"[a-z0-9-]+", row)}
    assert set(command.split()) <= words, "give it a row in README.md"


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_product_is_in_the_guide(product):
    rows = [row for row in (ROOT / "docs/guides/outputs.md").read_text().splitlines() if row.startswith("| `")]
    files = [f"`{PRODUCTS[product].stem}{PRODUCTS[product].suffixes[0]}`"]
    assert [row for row in rows if row.startswith(f"| {files[0]}")], "give it a row in docs/guides/outputs.md"


def test_every_product_is_in_the_help():
    """Its words stand below the field, where the flags, the config file and the table of parameters take them from."""
    source = inspect.getsource(ExportParameters)
    described = re.search(r'export_bands.*?"""(.*?)"""', source, re.DOTALL)
    assert described is not None
    assert set(PRODUCTS) <= set(re.findall(r"[a-z]+", described[1]))


def test_what_is_exported_by_default_is_said_alike():
    (field,) = [field for field in dataclasses.fields(ExportParameters) if field.name == "export_bands"]
    assert tuple(field.default_factory()) == DEFAULT_BANDS


@pytest.mark.parametrize("catalog", SCENE_CATALOGS)
def test_every_source_has_a_column_in_the_comparison(catalog):
    (head,) = re.findall(
        r"^\| \|(.*Copernicus Data Space.*)\|$", (ROOT / "docs/guides/sources.md").read_text(), re.MULTILINE
    )
    assert f"(`{catalog}`" in head, "give it a column in docs/guides/sources.md"


@pytest.mark.parametrize("layer", [layer.label for layer in LAYERS.values()])
def test_every_auxiliary_layer_has_a_column_in_the_comparison(layer):
    _, section = (ROOT / "docs/guides/sources.md").read_text().split("## Auxiliary data")
    (head,) = re.findall(r"^\| \|(.*)\|$", section, re.MULTILINE)
    assert layer in head, "give it a column in docs/guides/sources.md"


@pytest.mark.parametrize("index", INDICES)
def test_every_spectral_index_has_a_row(index):
    rows = (ROOT / "docs/science/indices.md").read_text().splitlines()
    assert [row for row in rows if row.startswith(f"| `{index}` |")], "give it a row in docs/science/indices.md"
