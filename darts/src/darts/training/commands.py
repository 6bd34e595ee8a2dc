"""The commands of training: each shows what it does, and what came out in one table.

What they run is imported by them, for it takes seconds, and their help none of it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from darts.training.view import ConsoleView
from darts.utils.console import duration, show_table
from darts.utils.terminal import say
from darts_segmentation.training.parameters import (
    CalibrateParameters,
    CrossValidationParameters,
    RunParameters,
    TestParameters,
    TuneParameters,
)
from darts_utils.paths import DefaultPaths, PathManager, user_path

if TYPE_CHECKING:
    from darts_segmentation.training.train import TrainedRun

type Folders = Annotated[DefaultPaths | None, Parameter(name="*")]

_SHOWN = ("JaccardIndex", "F1Score", "Precision", "Recall", "ObjectF1@0.3", "ObjectF1@0.5", "AUROC", "ECE@0.02-0.98")


def train_smp(
    *, run: Annotated[RunParameters | None, Parameter(name="*")] = None, default_dirs: Folders = None
) -> None:
    """Train a network on a training set, and write it as a calibrated model.

    Killed or interrupted, the same command goes on from the last epoch.

    Args:
        run: What is trained, on what, and how.
        default_dirs: Base folders of all default locations.
    """
    from darts_segmentation.training.train import train

    view = ConsoleView()
    with _says_how_to_go_on(view):
        trained = train(RunParameters() if run is None else run, _paths(default_dirs), view=view)
    _show_trained(trained)


def _show_trained(trained: "TrainedRun") -> None:
    metrics = (trained.card.training or {}).get("metrics") or {}
    if metrics:
        roles = list(metrics)
        rows = [(name, *(_number(metrics[role].get(name)) for role in roles)) for name in _SHOWN]
        show_table("Scores of the best epoch", ("score", *roles), rows)
    thresholds = trained.card.thresholds or {}
    if trained.card.is_calibrated:
        tiers = ", ".join(f"{name} {_number(thresholds.get(name))}" for name in ("low", "medium", "high"))
        say(f"Calibrated: temperature {trained.card.temperature:.3f}; thresholds of objects: {tiers}")
    say(f"Trained in {duration(trained.seconds)}")
    say(f"Model: {trained.run.model}")
    model, artifacts = quote(str(trained.run.model)), quote(str(trained.run.folder.parent.parent))
    patches = quote(str(trained.train_data_dir))
    say(f"Test it:  darts training test-smp --model-file {model} --train-data-dir {patches} --artifact-dir {artifacts}")
    for sensor in sorted(trained.card.sensors):
        say(f"Map with it, scenes or an area of yours:  darts inference {sensor}-sequential --model-files {model}")


def test_smp(
    *, test: Annotated[TestParameters | None, Parameter(name="*")] = None, default_dirs: Folders = None
) -> None:
    """Test a model on patches that it has not learned from: scores by region with intervals, pictures, one page.

    Args:
        test: Which model, and on what.
        default_dirs: Base folders of all default locations.
    """
    from darts_segmentation.training.testing import assess

    tested = assess(TestParameters() if test is None else test, _paths(default_dirs), view=ConsoleView())
    overall = tested.scores[tested.scores["region"] == "all"].to_dict("records")
    rows = [
        (str(row["score"]), _number(row["value"]), _interval(row["low"], row["high"]))
        for row in overall
        if row["score"] in (*_SHOWN, "BoundaryIoU", "AveragePrecision")
    ]
    show_table("Scores over all regions", ("score", "value", "95 % interval"), rows)
    say(f"Page: {tested.folder / 'report.html'}")


def crossval_smp(
    *,
    validation: Annotated[CrossValidationParameters | None, Parameter(name="*")] = None,
    default_dirs: Folders = None,
) -> None:
    """Train every fold with several seeds, and score the runs together.

    Args:
        validation: What is trained, and how it is scored.
        default_dirs: Base folders of all default locations.
    """
    from darts_segmentation.training.crossval import cross_validate

    view, given = ConsoleView(), CrossValidationParameters() if validation is None else validation
    with _says_how_to_go_on(view):
        result = cross_validate(given, _paths(default_dirs), view=view)
    names = [name.removesuffix(":higher").removesuffix(":lower") for name in given.scored_by]
    rows = [
        (
            row["run_name"],
            *(_number(row[name]) for name in names),
            _number(row["score"]),
            "yes" if row["is_unstable"] else "",
        )
        for row in result.runs.to_dict("records")
    ]
    show_table("Runs", ("run", *names, "score", "unstable"), rows)
    say(f"Score: {result.score:.4f}{' (there are unstable runs)' if result.is_unstable else ''}")
    say(f"Table: {result.folder / 'run_infos.parquet'}")


def tune_smp(
    *, search: Annotated[TuneParameters | None, Parameter(name="*")] = None, default_dirs: Folders = None
) -> None:
    """Search for hyperparameters, by cross-validation; several processes can share the search.

    Args:
        search: What is searched, and how.
        default_dirs: Base folders of all default locations.
    """
    from darts_segmentation.training.tune import tune

    view, given = ConsoleView(), TuneParameters() if search is None else search
    with _says_how_to_go_on(view):
        result = tune(given, _paths(default_dirs), view=view)
    columns = [name for name in result.trials if name not in ("error", "folder")]
    rows = [tuple(_cell(row[name]) for name in columns) for row in result.trials.to_dict("records")]
    show_table("Trials", tuple(map(str, columns)), rows)
    if result.best is not None:
        say(f"Best: {', '.join(f'{name} {_cell(value)}' for name, value in result.best.items())}")
    say(f"Table: {result.folder}")
    if result.best is not None and result.model is None:
        say(f"Train with them:  darts training train-smp {_as_flags(result.best)}, and the flags of this search")
    if result.model is not None:
        _show_trained(result.model)


def calibrate(
    *models: Path,
    fit: Annotated[CalibrateParameters | None, Parameter(name="*")] = None,
    default_dirs: Folders = None,
) -> None:
    """Calibrate a model, or several as an ensemble, on patches that they have not learned from.

    Args:
        models: The models; one is written anew with its temperature, several get an ensemble card beside them.
        fit: On what.
        default_dirs: Base folders of all default locations.
    """
    from darts_segmentation.training.calibrating import calibrate_models

    files = [user_path(file) for file in models]
    given = CalibrateParameters() if fit is None else fit
    result = calibrate_models(files, given, _paths(default_dirs), view=ConsoleView())
    rows = [("temperature", "", _number(result.card["temperature"]))]
    for name, words in (("ece", "calibration error of all pixels"), ("nll", "negative log likelihood")):
        rows.append((words, _number(result.card[f"{name}_before"]), _number(result.card[f"{name}_after"])))
    show_table("Calibration", ("", "before", "after"), rows)
    say("Thresholds: " + ", ".join(f"{name} {_number(value)}" for name, value in result.thresholds.items()))
    say(f"Written: {result.file}")


def _as_flags(settings: Mapping[str, Any]) -> str:
    """Return settings as they are given on a command line."""
    words: list[str] = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"--{flag}", *(quote(str(one)) for one in values)]
    return " ".join(words)


def _paths(folders: DefaultPaths | None) -> PathManager:
    return PathManager(DefaultPaths() if folders is None else folders)


@contextmanager
def _says_how_to_go_on(view: ConsoleView) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        view.say("The last epoch that had ended is kept. The same command goes on from there.")
        raise


def _interval(low: float, high: float) -> str:
    return "" if low != low else f"{low:.3f} to {high:.3f}"


def _number(value: Any) -> str:
    return "none" if value is None or value != value else f"{value:.3f}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.5g}"
    return "" if value is None else str(value)
