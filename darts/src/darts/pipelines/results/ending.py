"""How a run ends: with the list of failures, and one inventory and one page over all that is in its results folder."""

from collections.abc import Sequence
from pathlib import Path

from darts.inventory.ending import end_with_inventory
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.results.progress import Progress
from darts.pipelines.results.records import write_failed
from darts.pipelines.tiles import Outcome, RunReport
from darts.report.build import end_with_report
from darts_export.record import FILE


def end_run(parameters: PipelineParameters, report: RunReport, progress: Progress, n_new: int, records: Path) -> None:
    """Bring what tells of all tiles of a results folder up to date.

    It is noted what is being made, for a run may be killed here too: then the next one makes it, with no tile to do.

    Args:
        parameters: What was asked for.
        report: How its tiles ended.
        progress: Where it is noted.
        n_new: How many tiles it worked on.
        records: Where the records of runs are.
    """
    write_failed(records)
    if not report.outcomes or report.interrupted:
        return
    since = last_change(report.folder, report.outcomes)
    if parameters.inventory and "polygonized" in parameters.products:
        progress.goes_on_with("inventory")
        end_with_inventory(report.folder, n_new, since)
    if parameters.report:
        progress.goes_on_with("report")
        end_with_report(report.folder, n_new, records, since)
    progress.goes_on_with(None)


def last_change(results: Path, outcomes: Sequence[Outcome]) -> float:
    """Return when the newest of some tiles was finished, in seconds since the epoch; 0 if none is."""
    changed = [0.0]
    for outcome in outcomes:
        try:
            changed.append((results / outcome.ref.output_folder / FILE).stat().st_mtime)
        except OSError:  # it failed, or its results are older than records
            continue
    return max(changed)
