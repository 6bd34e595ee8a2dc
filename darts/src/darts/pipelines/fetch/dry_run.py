"""What a dry run shows: tiles, what is to be fetched, what that and the rest will take; nothing is made on disk."""

from collections.abc import Sequence

from darts.pipelines.auxiliary import LAYERS, AuxiliaryLayer
from darts.pipelines.base import Pipeline
from darts.pipelines.fetch.connect import ask_at_given_addresses
from darts.pipelines.fetch.plan import make_plan
from darts.pipelines.fetch.view import show_plan, size
from darts.pipelines.results.estimate import estimate, estimate_lines
from darts.pipelines.tiles import RunReport, Source, TileRef, require
from darts.utils.terminal import say
from darts_utils.machine.devices import decide_device


def show_dry_run(
    parameters: Pipeline, source: Source, todo: Sequence[TileRef], layers: Sequence[AuxiliaryLayer], *, n_done: int
) -> RunReport:
    """Show the plan and an estimate; the report says whether an offline run would lack data.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from.
        todo: Tiles to map.
        layers: What is read beside the images.
        n_done: Tiles that are there already.
    """
    plan = make_plan(parameters, source, todo, layers=layers, n_done=n_done, loads=True)
    show_plan(plan, with_tiles=True)
    results = require(parameters.output_data_dir)
    if todo:
        on_gpu = decide_device(parameters.device).type == "cuda"
        found = estimate(results, len(todo), sensor=parameters.trained_on, on_gpu=on_gpu)
        for line in estimate_lines(found, size(found.n_bytes)):
            say(line)
    return RunReport((), results, lacks_data=plan.offline and plan.lacks)


def dry_run_without_model(pipeline: Pipeline) -> RunReport:
    """Show the plan of a run that has no model yet, and what depends on one.

    Raises:
        ConfigError: If nothing is selected, or parameters are wrong.
        ServiceError: If scenes must be searched for, and the catalogue does not answer.
    """
    parameters = pipeline.with_paths()
    ask_at_given_addresses(parameters, offline=parameters.offline)
    source = parameters.source()
    refs = parameters.part_of(source.find())
    report = show_dry_run(parameters, source, refs, tuple(LAYERS.values()), n_done=0)
    say(f"  there is no model in {parameters.paths.models}, so all tiles are shown, done or not, and all layers:")
    say("  elevation and trends are only fetched where models read them. To map, put a model there, or name one.")
    return report
