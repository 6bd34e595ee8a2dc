"""The notebooks run from their first cell to their last, offline, and say what commands wrote.

One kernel runs them all, emptied before each: starting and importing would take most of the time.
"""

import re
from functools import cache
from pathlib import Path

import geopandas as gpd
import nbformat
import pytest
import rasterio
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MANY_TILES = """
from pathlib import Path
from darts.pipelines.tiles import Outcome, RunReport, StageStarted, TileRef
from darts.utils.console import run_view

refs = [TileRef(tile_id=f"tile {number}", output_folder=Path(str(number))) for number in range(3000)]
ended = tuple(Outcome(ref=ref, status="success") for ref in refs)
with run_view(n_tiles=3000, n_skipped=0) as view:
    for one in ended:
        view.stage(StageStarted(one.ref, "load"))
        view.tile(one)
    view.finish(RunReport(ended, Path("results")))
"""


class Ran:
    """A notebook that has run."""

    def __init__(self, notebook):
        self.outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]

    @property
    def printed(self):
        return "".join(
            out["text"] for out in self.outputs if out["output_type"] == "stream" and out["name"] == "stdout"
        )

    def shown(self, kind):
        """Return what cells show as a kind of media."""
        return [out["data"][kind] for out in self.outputs if kind in out.get("data", {})]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the notebooks run, one after the other."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """Run a notebook, at most once."""
    manager = KernelManager(kernel_name="python3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        manager.start_kernel(cwd=str(folder))
    talks = manager.client()
    talks.start_channels()
    talks.wait_for_ready(timeout=60)

    def execute(notebook):
        talks.execute_interactive("%reset -f", timeout=60)
        client = NotebookClient(notebook, km=manager, timeout=120, coalesce_streams=True)
        client.kc = talks
        client.execute()
        return Ran(notebook)

    yield cache(lambda name: execute(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4))), execute
    talks.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_what_it_shows(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    ids = [f"{path.stem.replace('_', '-')}-{number}" for number in range(1, len(notebook.cells) + 1)]
    assert [cell["id"] for cell in notebook.cells] == ids
    code = [cell for cell in notebook.cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_each_notebook_has_a_test():
    assert {path.stem for path in NOTEBOOKS} == set(re.findall(r'notebooks\("(\w+)"\)', Path(__file__).read_text()))


@pytest.fixture
def notebooks(run):
    return run[0]


def test_the_demo_becomes_a_map(notebooks, folder):
    ran = notebooks("demo_to_map")
    (segments,) = map(gpd.read_parquet, folder.glob("darts-demo/output/sentinel2-cdse/S2*/prediction_segments.parquet"))
    assert f"{len(segments)} slumps, {segments['area_m2'].sum() / 1e4:.1f} hectares" in ran.printed
    assert [html for html in ran.shown("text/html") if html.startswith("<iframe srcdoc=")], "the report shows its page"
    assert len(ran.shown("image/png")) == 1, "a figure is shown without pyplot"


def test_steps_give_what_the_command_gives(notebooks, folder):
    ran = notebooks("own_scene")
    assert "\n0 pixels differ\n" in ran.printed
    assert "finished: |" in ran.printed, "a run shows its bar"
    assert len(ran.shown("image/png")) == 6
    by_command = next((folder / "by-command").glob("S2*"))
    with (
        rasterio.open(folder / "by-hand" / "probabilities.tif") as first,
        rasterio.open(by_command / "probabilities.tif") as second,
    ):
        assert (first.read() == second.read()).all()
        assert (first.read() < 255).sum() > 100_000
    slumps = [gpd.read_parquet(at / "prediction_segments.parquet") for at in (folder / "by-hand", by_command)]
    assert slumps[0].geometry.equals(slumps[1].geometry)
    assert "elevation reaches" not in str(ran.outputs), "the margin that the page names is enough"


def test_thresholds_are_compared_with_the_truth(notebooks, folder):
    ran = notebooks("thresholds")
    (segments,) = map(gpd.read_parquet, folder.glob("darts-demo/output/sentinel2-cdse/S2*/prediction_segments.parquet"))
    (table,) = [text for text in ran.shown("text/plain") if "iou" in text]
    rows = {float(row[0]): row[1:] for row in map(str.split, table.splitlines()[1:])}
    assert int(rows[0.5][0]) == len(segments)
    assert [int(rows[0.5][column]) for column in (2, 3)] == [0, 0], "all are found, none is false"
    assert float(rows[0.5][4]) > 0.75
    areas = [
        gpd.read_parquet(next(folder.glob(f"thresholds/{at}/**/prediction_segments.parquet")))["area_m2"].sum()
        for at in (0.3, 0.5, 0.8)
    ]
    assert areas == sorted(areas, reverse=True)
    assert areas[1] == pytest.approx(segments["area_m2"].sum(), rel=0.01)


def test_scenes_of_years_become_an_inventory(notebooks, folder):
    ran = notebooks("inventory_over_years")
    slumps = gpd.read_parquet(folder / "many-years" / "inventory" / "slumps")
    for year, of_year in slumps.groupby("year"):
        assert f"\n{year}: {len(of_year)}\n" in ran.printed
    found, true = map(int, re.search(r"(\d+) of (\d+) true slumps", ran.printed).groups())
    assert found >= 0.8 * true > 4
    assert slumps["slump_id"].duplicated().any(), "a slump keeps its id"
    assert ran.printed.count("finished: |") == 3


def test_a_cell_holds_one_bar_however_many_tiles_there_are(run):
    _, execute = run
    (out,) = execute(new_notebook(cells=[new_code_cell(MANY_TILES)])).outputs
    bar, *lines = out["text"].splitlines()
    assert re.match(r"finished: \|█{24}\| 3000/3000 \[", bar)
    assert lines == ["finished: 3000 done, 0 skipped, 0 failed", "results: results"]
