"""Pictures of the timers."""

import pandas as pd
import pytest
import stopuhr

from darts.utils.bench import benchviz, read_timers
from darts_utils.errors import ConfigError, DataError

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")


@pytest.fixture
def timer(tmp_path):
    rows = [
        ("a", "optical", 0.0, 1.5),
        ("a", "segment", 1.5, 4.0),
        ("b", "optical", 1.5, 3.0),
        ("b", "segment", 4.0, 6.0),
    ]
    table = pd.DataFrame(rows, columns=["tile_id", "stage", "start", "end"])
    table["seconds"] = table["end"] - table["start"]
    path = tmp_path / "run.timer.parquet"
    table.to_parquet(path)
    return path


def test_a_timer_file_gives_distributions_and_a_timeline(timer, darts):
    code, out, _ = darts("inference", "benchviz", timer)
    picture = timer.with_suffix(".png")
    assert code == 0
    assert f"Picture: {picture}" in out
    assert picture.read_bytes()[:4] == b"\x89PNG"
    figure = benchviz(timer)
    assert [axis.get_title() for axis in figure.axes] == ["Duration of each stage", "When each stage ran"]
    assert len(figure.axes[1].patches) == 4


def test_what_stopuhr_exports_gives_distributions(tmp_path):
    chronometer = stopuhr.Chronometer(log=False)
    chronometer.durations["load"].extend([1.0, 2.0])
    chronometer.durations["export"].append(0.5)
    path = tmp_path / "any.parquet"
    chronometer.export().astype("Float64").to_parquet(path)
    durations, timeline = read_timers(path)
    assert timeline is None
    assert durations.groupby("stage")["seconds"].sum().to_dict() == {"export": 0.5, "load": 3.0}
    benchviz(path, viz_dir=tmp_path / "pictures")
    assert (tmp_path / "pictures" / "any.png").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.parquet does not exist\. Name a \*\.timer\.parquet of a run\."):
        benchviz(tmp_path / "none.parquet")


def test_an_empty_or_broken_file_is_named(tmp_path):
    pd.DataFrame(columns=["tile_id", "stage", "start", "end", "seconds"]).to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="holds no durations"):
        benchviz(tmp_path / "empty.parquet")
    (tmp_path / "broken.parquet").write_text("x")
    with pytest.raises(DataError, match="is no parquet file"):
        benchviz(tmp_path / "broken.parquet")
