"""The house as drawn: which package may import which, what each one declares, and how large a room may be."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STEPS = ("darts_acquisition", "darts_preprocessing", "darts_segmentation", "darts_postprocessing", "darts_export")
ALLOWED = {"darts_utils": set(), **{step: {"darts_utils"} for step in STEPS}, "darts": {"darts_utils", *STEPS}}
DISTRIBUTION_OF = {
    "cv2": "opencv-python-headless",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "ee": "earthengine-api",
    "google": "google-auth",
    "googleapiclient": "google-api-python-client",
    "netCDF4": "netcdf4",
    "pystac_client": "pystac-client",
    "odc": "odc-geo",
    "odc.stac": "odc-stac",
    "smart_geocubes": "smart-geocubes",
    "skimage": "scikit-image",
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "tomli_w": "tomli-w",
    "PIL": "pillow",
    "rio_cogeo": "rio-cogeo",
    "mapbox_vector_tile": "mapbox-vector-tile",
    "darts": "darts-nextgen",
}
NOT_IMPORTED_BUT_NEEDED = {
    "darts-utils": {"dask", "netcdf4"},  # odc-geo imports dask beside rasterio; xarray writes netCDF with netcdf4
    "darts-acquisition": {"pyarrow", "pyogrio"},  # geopandas reads tile indices and areas with them
    "darts-segmentation": {"pyarrow"},  # geopandas writes GeoParquet with it
    "darts-export": {"pyarrow", "netcdf4", "pyogrio"},  # geopandas writes GeoParquet and GeoPackage with them
    "darts-nextgen": {"pyarrow"},  # pandas writes parquet with it
}
_OF_TRAINING = {"onnx", "tensorboard", "wandb"}
EXTRAS = {
    "darts-nextgen": {"ray", "review", *_OF_TRAINING},
    "darts-segmentation": _OF_TRAINING,
}
"""Declared as an extra; a test shows that its absence names the extra."""
PACKAGES_OF = {"review": {"starlette", "uvicorn"}}
"""What extras bring; one of the same name if not listed."""
NOT_INSTALLED = {"wandb"}
"""Extras that talk to a service, and to nothing else."""
MOST_MODULES = 15
CROWDED = {"darts/pipelines", "darts/training", "darts_acquisition/optical"}
"""Folders that are still to be divided."""
OLD_PATHS = {"__init__.py", "functools.py"}
"""No modules to look over: what a folder is, and an import where users' scripts look for a function that moved."""
OPTIONAL = {"torch"}
"""Imported by `darts_utils.machine.devices` inside the function that needs it, which only packages with torch call."""


def members() -> dict[str, Path]:
    return {path.name: path for path in sorted(ROOT.glob("darts*/src/darts*")) if (path / "__init__.py").exists()}


def imports(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield every imported top-level name below a folder, whether at the top of a module or inside a function."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from ((top_name(alias.name), file) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield top_name(node.module), file


def top_name(module: str) -> str:
    """Return the part of a module's name that tells its distribution; two of them share the name odc."""
    return "odc.stac" if module.startswith("odc.stac") else module.split(".")[0]


def declared(member: Path) -> set[str]:
    project = tomllib.loads((member.parents[1] / "pyproject.toml").read_text())["project"]
    return {re.split(r"[\[><=~ ;]", requirement)[0] for requirement in project["dependencies"]}


def test_all_rooms_are_there():
    assert set(members()) == set(ALLOWED)


@pytest.mark.parametrize("name", ALLOWED)
def test_a_package_imports_only_what_the_picture_allows(name):
    ours = {module for module, _ in imports(members()[name]) if module in ALLOWED and module != name}
    assert ours <= ALLOWED[name]


@pytest.mark.parametrize("name", ALLOWED)
def test_a_package_declares_exactly_what_it_imports(name):
    distribution = DISTRIBUTION_OF.get(name, name.replace("_", "-"))
    modules = {module for module, _ in imports(members()[name])} - set(sys.stdlib_module_names) - {name}
    needed = {"darts-" + m.removeprefix("darts_") if m in ALLOWED else DISTRIBUTION_OF.get(m, m) for m in modules}
    if name == "darts_utils":
        needed -= OPTIONAL
    needed -= {name for extra in EXTRAS.get(distribution, ()) for name in PACKAGES_OF.get(extra, {extra})}
    extra = NOT_IMPORTED_BUT_NEEDED.get(distribution, set())
    assert declared(members()[name]) - extra == needed - extra


def test_extras_are_declared_and_installed_for_the_tests():
    for member, extras in EXTRAS.items():
        names = {DISTRIBUTION_OF.get(name, name.replace("_", "-")): path for name, path in members().items()}
        project = tomllib.loads((names[member].parents[1] / "pyproject.toml").read_text())["project"]
        assert set(project["optional-dependencies"]) == extras
    development = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    assert f"darts-nextgen[{','.join(sorted(EXTRAS['darts-nextgen'] - NOT_INSTALLED))}]" in development


@pytest.mark.parametrize("name", ALLOWED)
def test_no_file_is_longer_than_the_wall(name):
    long = {
        str(f.relative_to(ROOT)): n for f in members()[name].rglob("*.py") if (n := f.read_text().count("\n")) > 500
    }
    assert long == {}


@pytest.mark.parametrize("name", [*ALLOWED, "benchmarks"])
def test_no_folder_has_more_modules_than_one_can_look_over(name):
    top = members().get(name, ROOT / name)
    folders = {file.parent for file in top.rglob("*.py")}
    counts = {str(f.relative_to(top.parent)): len({path.name for path in f.glob("*.py")} - OLD_PATHS) for f in folders}
    assert {folder: n for folder, n in counts.items() if n > MOST_MODULES and folder not in CROWDED} == {}


def test_all_packages_have_the_version_of_the_workspace_and_ask_for_it():
    checked = subprocess.run([sys.executable, ROOT / ".ci/version"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    for member in members().values():
        project = tomllib.loads((member.parents[1] / "pyproject.toml").read_text())["project"]
        assert project["version"] == checked.stdout.strip()
        ours = [requirement for requirement in project["dependencies"] if requirement.startswith("darts-")]
        assert all(requirement.endswith(f"=={project['version']}") for requirement in ours)


def test_a_release_has_its_heading_in_the_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"(?m)^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text())


def test_a_dependency_has_one_lower_bound_whichever_package_names_it():
    """The suite runs once with the lowest versions: one bound below that of another package would never be tried."""
    bounds: dict[str, set[str]] = {}
    for member in members().values():
        project = tomllib.loads((member.parents[1] / "pyproject.toml").read_text())["project"]
        for requirement in project["dependencies"]:
            name, *bound = re.split(r"(?:\[.*\])?>=", requirement)
            bounds.setdefault(name, set()).update(bound)
    assert {name: sorted(several) for name, several in bounds.items() if len(several) > 1} == {}
    assert [name for name, some in bounds.items() if not some and not name.startswith("darts-")] == []


def test_each_package_carries_the_licence():
    """A distribution can only hold files of its own folder."""
    copies = {(member.parents[1] / "LICENSE").read_text() for member in members().values()}
    assert copies == {(ROOT / "LICENSE").read_text()}


def test_no_source_asks_which_sensor_it_is():
    """A new source is one class behind the protocol: nothing else compares its name."""
    pattern = re.compile(r"raw_data_source\s*(==|!=)|(sensor|source)\s*==\s*[\"']")
    found = [str(f) for f in members()["darts"].rglob("*.py") if pattern.search(f.read_text())]
    assert found == []


def test_no_module_names_an_auxiliary_layer_but_its_own():
    """A new layer is one file and one line of the list: nothing else of the pipelines knows one from the other."""
    from darts.pipelines.auxiliary import LAYERS

    folder = members()["darts"] / "pipelines"
    files = [*folder.rglob("*.py"), *(folder.parent / "datasets").rglob("*.py")]
    pattern = re.compile(rf"[\"']({'|'.join(LAYERS)})[\"']|(load|download|missing|align)_({'|'.join(LAYERS)})\b")
    found = [str(f.relative_to(folder.parent)) for f in files if pattern.search(f.read_text())]
    assert found == [f"pipelines/auxiliary/{name}.py" for name in LAYERS]


def test_nothing_is_left_to_do_without_an_issue():
    pattern = re.compile(r"\b(TODO|FIXME|XXX)\b")
    files = [file for path in members().values() for file in path.rglob("*.py")]
    assert [str(file) for file in files if pattern.search(file.read_text())] == []


def test_whoever_silences_the_type_checker_says_of_what_and_why():
    files = [file for folder in (*members().values(), ROOT / "benchmarks") for file in folder.rglob("*.py")]
    silenced = [line for file in files for line in file.read_text().splitlines() if "# type: ignore" in line]
    assert [line for line in silenced if not re.search(r"# type: ignore\[[a-z, -]+\]  # \w", line)] == []


def test_a_demo_in_the_checkout_does_not_break_the_workspace():
    """The folder that `darts demo` makes must not be taken for a member, which would stop every later `uv run`."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    assert not any(fnmatch("darts-demo", member) for member in listed)
    assert set(listed) == {path.parents[1].name for path in members().values()}
