"""The judge of all trials: says what is wrong with how a command ended, in sentences; none if all is right."""

import re

import pyarrow.parquet as pq
import shapely

from darts_utils.files import is_part
from hostile.running import TIMEOUT_S
from hostile.worlds import is_empty, products

_STATUSES = (0, 1, 2, 3, 130)
_MOST_GROWTH_MB = 1500
_MOST_OFF = 0.01
"""Share of an area by which the one that is searched may differ: straight lines bend on other maps."""
_NEVER = ("Traceback (most recent call last)", "not foreseen", "Segmentation fault", "Fatal Python error")


def judge(world, right, outcome, sound):
    """Return the faults of an outcome.

    Args:
        world: The spoiled world after the run.
        right: What may become of it.
        outcome: What the command did.
        sound: What is made of each image in a sound world, by id.
    """
    ends, faults = _ends(world, outcome, sound)
    return [*faults, *_manners(world, outcome), *_what_was_right(world, right, outcome, ends)]


def _manners(world, outcome):
    """Yield what no command may do, whatever it met."""
    if outcome.status not in _STATUSES:
        yield f"the exit status is {outcome.status}"
    yield from (f"it says {words!r}" for words in _NEVER if words in outcome.output)
    if re.search(r"\.py:\d+: \w*Warning", outcome.stderr):
        yield "a warning of Python reaches the user"
    if outcome.seconds > TIMEOUT_S:
        yield f"it took {outcome.seconds:.0f} s"
    if outcome.changed:
        yield f"it changed what is not its own: {', '.join(outcome.changed)}"
    if outcome.requests:
        yield f"it asked the network: {', '.join(outcome.requests)}"
    if outcome.grown_mb > _MOST_GROWTH_MB:
        yield f"it took {outcome.grown_mb:.0f} MB more memory"
    parts = [str(path) for path in world.work.rglob("*") if is_part(path)]
    if parts:
        yield f"it left unfinished files: {', '.join(parts)}"


def _ends(world, outcome, sound):
    """Return how each image ended, in the words of `Right`, and what the record says falsely."""
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("Error: ")]
    record = _record(world)
    if record is None or (errors and outcome.status != 0):
        return dict.fromkeys(world.ids, "refused"), [
            *_refusal(outcome, errors),
            *_results_without_record(world, record),
        ]
    ends = dict.fromkeys(world.ids, "left out")
    faults = []
    for row in record:
        end, why = _end_of(world, row, outcome, sound)
        faults += why
        ends[row["tile_id"]] = end
    failed = any(row["status"] == "failed" for row in record)
    if (outcome.status == 1) != failed or outcome.status not in (0, 1):
        faults.append(f"the exit status is {outcome.status} but the record says {ends}")
    return ends, faults


def _record(world):
    """Return the newest record of the run, None if there is none that is newer than the results that were there."""
    folder = world.results
    records = folder.glob("*.results.parquet") if folder.is_dir() else ()
    records = [path for path in records if path.name not in world.old_records and path.stat().st_size]
    return pq.read_table(max(records)).to_pylist() if records else None


def _refusal(outcome, errors):
    if outcome.status == 0:
        yield "the exit status is 0, but nothing was done"
    elif len(errors) != 1:
        yield f"it ended with status {outcome.status} but {len(errors)} lines say why"
    elif outcome.stderr.rstrip().splitlines()[-1] != errors[0]:
        yield f"something follows the line that says why: {outcome.stderr[-300:]!r}"


def _results_without_record(world, record):
    if record is None and not world.had_results and world.results.is_dir():
        left = [path.name for path in world.results.iterdir() if path.is_dir()]
        if left:
            yield f"it was refused, but made results: {', '.join(left)}"


def _end_of(world, row, outcome, sound):
    """Return how an image ended by the record, and what is not so."""
    tile_id, status, error = row["tile_id"], row["status"], row["error"]
    folder = world.results / tile_id
    if status == "failed":
        line = f"failed {tile_id}: {error}"
        faults = [] if line in outcome.stdout.splitlines() else [f"no line says {line!r}"]
        if folder.exists() and not world.had_results:
            faults.append(f"{tile_id} failed, but has results")
        return "failed", faults
    if status == "skipped" and error is not None:
        return "kept", [] if "left" in outcome.stderr or "kept" in outcome.stderr else [f"no line says: {error}"]
    try:
        made = products(folder)
    except Exception as reason:  # noqa: BLE001 (whatever is wrong with it, it is no success)
        return "spoiled", [f"{tile_id} is said to be a {status}, but its results cannot be read: {reason}"]
    if made == sound.get(tile_id):
        return "sound", []
    unsaid = is_empty(made) and f"{tile_id}: nothing of it is mapped" not in outcome.stderr
    return "own", [f"the map of {tile_id} shows nothing, and nobody says so"] if unsaid else []


def _what_was_right(world, right, outcome, ends):
    """Yield what became of the images other than it may."""
    spoiled, neighbour = (ends[image_id] for image_id in world.ids)
    if spoiled not in right.may:
        yield f"{world.ids[0]} is {spoiled}, but may only be {' or '.join(sorted(right.may))}"
    if neighbour not in ({*right.may} if right.both else {"sound"} | ({"refused"} & right.may)):
        yield f"its neighbour {world.ids[1]} is {neighbour}"
    strangers = {image_id: end for image_id, end in ends.items() if image_id not in world.ids and end != "failed"}
    if strangers:
        yield f"images that are none were mapped: {strangers}"
    yield from _words(right, outcome, spoiled)
    yield from _search(right, world.catalogue.asked)


def _search(right, asked):
    """Yield where another area was searched than was meant."""
    if right.area is None or not asked:
        return
    searched = shapely.geometry.shape(asked[0]["intersects"])
    off = shapely.symmetric_difference(searched, right.area).area / right.area.area
    if off > _MOST_OFF:
        yield f"another area was searched: {searched.wkt[:200]}"


def _words(right, outcome, spoiled):
    """Yield which words are not there that must be."""
    if spoiled in ("failed", "refused") and right.names:
        said = [line for line in outcome.output.splitlines() if line.startswith(("Error: ", "failed "))]
        if not any(name in line for line in said for name in right.names):
            yield f"no line names {' or '.join(right.names)}, but: {said}"
    is_done = spoiled in ("sound", "own", "left out", "kept")
    if is_done and right.says and not any(words in outcome.output for words in right.says):
        yield f"nothing says {' or '.join(right.says)}"
