"""Results of an earlier run that were spoiled since: records, files, folders, links, and other parameters."""

import json
import os
import shutil

from darts_utils.files import part_path
from hostile import damage
from hostile.trials import Family, may

bad = Family("results", kind="sentinel2-done")

_RECORD = "darts_inference.json"
_FILES = ("probabilities.tif", "binarized.tif", "prediction_segments.gpkg", "prediction_segments.parquet", _RECORD)


def _flags(world, rng, *flags):
    """Run it with one of some flags, and return which."""
    flag = rng.choice(flags)
    world.words += [flag] if flag else []
    return flag


def _again(world, rng, *ends):
    """Whatever flag is given: found whole, made again, left alone as asked, or refused in a line."""
    flag = _flags(world, rng, "", "--overwrite", "--keep-old")
    if flag == "--overwrite":
        return may("sound")
    return may(
        *ends,
        *(["kept"] if flag == "--keep-old" else ["refused"]),
        names=("--overwrite", world.ids[0]),
        says=world.results.name,
    )


def _done(world):
    return world.results / world.ids[0]


@bad.each({how.__name__: how for how in damage.FILE_DAMAGE})
def record(world, rng, how):
    how(_done(world) / _RECORD, rng)
    return _again(world, rng, "sound", "failed")


@bad
def junk_in_a_record(world, rng):
    path = _done(world) / _RECORD
    content = json.loads(path.read_text())
    path.write_text(damage.as_json(damage.put(content, rng.choice(damage.places(content)), rng.choice(damage.JUNK))))
    return _again(world, rng, "sound")


@bad
def junk_for_a_record(world, rng):
    (_done(world) / _RECORD).write_text(damage.as_json(rng.choice(damage.JUNK)))
    return _again(world, rng)


@bad
def key_of_a_record_lost(world, rng):
    path = _done(world) / _RECORD
    content = json.loads(path.read_text())
    path.write_text(json.dumps(damage.without(content, rng.choice(damage.places(content)))))
    return _again(world, rng, "sound")


@bad.each(
    {
        "zero-bytes": damage.empty,
        "gone": lambda path, rng: path.unlink(),
        "nowhere": damage.nowhere_instead,
        "folder": damage.folder_instead,
        "loop": damage.loop_instead,
    }
)
def file(world, rng, how):
    for name in rng.sample(_FILES[:4], rng.choice([1, 1, 3])):
        how(_done(world) / name, rng)
    return _again(world, rng, "sound", "failed")


@bad
def all_gone_but(world, rng):
    kept = rng.sample(_FILES, rng.choice([0, 1, 2]))
    for path in list(_done(world).iterdir()):
        if path.name not in kept:
            path.unlink()
    return _again(world, rng, "sound")


@bad
def of_another_image(world, rng):
    shutil.rmtree(_done(world))
    shutil.copytree(world.results / world.ids[1], _done(world))
    return _again(world, rng)


@bad.each(
    {
        "flag": ("--binarization-threshold", "0.9"),
        "erosion": ("--mask-erosion-size", "3"),
        "size": ("--min-object-size", "2"),
        "quality": ("--quality-level", "2"),
        "patch": ("--overlap", "8"),
    }
)
def made_with_others(world, rng, flag):
    world.set(*flag)
    flag = _flags(world, rng, "", "--keep-old")
    return may(
        *(["kept"] if flag else ["refused"]),
        names=("threshold", "erosion", "min_object", "quality", "overlap"),
        both=True,
    )


@bad
def made_with_another_model(world, rng):
    from hostile.worlds import make_tiny_model

    make_tiny_model(world.model, seed=5)
    flag = _flags(world, rng, "", "--keep-old")
    return may(*(["kept"] if flag else ["refused"]), names="model small", both=True)


@bad.each({"file": damage.file_instead, "loop": damage.loop_instead, "nowhere": damage.nowhere_instead})
def folder(world, rng, how):
    how(_done(world), rng)
    _flags(world, rng, "", "--overwrite", "--keep-old")
    return may("failed", "refused", names=world.ids[0])


@bad
def folder_that_is_a_link(world, rng):
    shutil.rmtree(_done(world))
    _done(world).symlink_to(world.folder / "canary")
    _flags(world, rng, "", "--overwrite", "--keep-old")
    return may("failed", "refused", "kept", names=(world.ids[0], "--overwrite"))


@bad
def files_that_are_links(world, rng):
    name = rng.choice(_FILES)
    (_done(world) / name).rename(world.work / name)
    (_done(world) / name).symlink_to(world.work / name)
    return _again(world, rng, "sound")


@bad
def files_of_a_user(world, rng):
    (_done(world) / "notes.txt").write_text("mine")
    (world.results / "notes.txt").write_text("mine")
    (world.results / "my folder").mkdir()
    _flags(world, rng, "", "--keep-old")
    return may("sound")


@bad
def parts_of_killed_runs(world, rng):
    shutil.rmtree(_done(world))
    for name in ("x", world.ids[0]):
        part = part_path(world.results / name)
        part = part.with_name(part.name.replace(f"-{os.getpid()}-", "-4999999-"))  # no system has so many
        part.mkdir()
        (part / "probabilities.tif").write_bytes(b"")
    return may("sound")


@bad
def records_of_runs(world, rng):
    for path in [*world.results.glob("*.parquet"), *world.results.glob("*.toml")]:
        rng.choice(damage.FILE_DAMAGE)(path, rng)
    return may("sound")


@bad
def file_for_the_results(world, rng):
    rng.choice([damage.file_instead, damage.loop_instead, damage.nowhere_instead])(world.results, rng)
    world.had_results = False
    return may("refused", names=world.results.name, both=True)


@bad
def input_as_output(world, rng):
    place = rng.choice([world.model, world.image / "zarr.json", world.folder / "canary" / "thesis.txt"])
    world.set("--output-data-dir", rng.choice([place, place / "below"]))
    return may("refused", names=place, both=True)
