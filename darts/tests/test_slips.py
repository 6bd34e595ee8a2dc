"""What is answered to slips of the keyboard and to wrong values: the thing, what it may be, what to do; in one line."""

import re

import pytest

MAP = "map sentinel2 --tile-ids 54WWD"
PLANET = "map planet"
SLIPS = {
    # commands
    "mpa": "there is no command `darts mpa`. Did you mean `darts map`? There are: ",
    "Map": "there is no command `darts Map`. Did you mean `darts map`?",
    "bogus": "there is no command `darts bogus`. There are: ",
    "bogus --help": "there is no command `darts bogus`. There are: ",
    "map bogus --help": "there is no command `darts map bogus`. There are: sentinel2, planet.",
    "map sentinel": "there is no command `darts map sentinel`. Did you mean `darts map sentinel2`?",
    "map sentinel-2": "there is no command `darts map sentinel-2`. Did you mean `darts map sentinel2`?",
    "map plannet": "there is no command `darts map plannet`. Did you mean `darts map planet`?",
    "inference sentinel2": "there is no command `darts inference sentinel2`. "
    "Did you mean `darts inference sentinel2-sequential`?",
    "inference sentinel2 --help": "there is no command `darts inference sentinel2`. "
    "Did you mean `darts inference sentinel2-sequential`?",
    "inference planet": "there is no command `darts inference planet`. "
    "Did you mean `darts inference planet-sequential`?",
    "inference bogus --help": "there is no command `darts inference bogus`. There are: ",
    "training create-datasets": "there is no command `darts training create-datasets`. "
    "Did you mean `darts training create-dataset`?",
    "training tran": "there is no command `darts training tran`. Did you mean `darts training train`?",
    "models lst": "there is no command `darts models lst`. Did you mean `darts models list`?",
    "inventory biuld": "there is no command `darts inventory biuld`. Did you mean `darts inventory build`?",
    "fetch sentinel": "there is no command `darts fetch sentinel`. Did you mean `darts fetch sentinel2`?",
    "prep-data sentinel": "there is no command `darts prep-data sentinel`. Did you mean `darts prep-data sentinel2`?",
    "serch sentinel2": "there is no command `darts serch`. Did you mean `darts search`?",
    "search sentinel": "there is no command `darts search sentinel`. Did you mean `darts search sentinel2`?",
    "stauts out": "there is no command `darts stauts`. Did you mean `darts status`?",
    "demos": "there is no command `darts demos`. Did you mean `darts demo`?",
    # options
    "--bogus hello Bob": "there is no option --bogus before a command.",
    f"{PLANET} foo": "`darts map planet` takes no foo. Leave it out, or name its option before it.",
    "hello": "`darts hello` needs NAME: a text.",
    "status": "`darts status` needs FOLDER: a path.",
    "report": "no results folder is given. Name one or several: darts report output/sentinel2-cdse",
    "report a b": "2 folders are given. Say with --out where the report over all of them goes.",
    "status x --wach": "`darts status` has no option --wach. Did you mean --watch?",
    "inference sentinel2-sequential --ray": "`darts inference sentinel2-sequential` has no option --ray. "
    "`darts map sentinel2` has it",
    "search sentinel2 --model-files a.pt": "`darts search sentinel2` has no option --model-files.",
    "search sentinel2 --tile-ids 54WWD --out x.shp": "out is x.shp, but must end with .geojson, .json, .txt.",
    "hello Bob --m 1": "`darts hello` has no option --m.",
    "hello Bob --n": "--n needs a value: a whole number.",
    "hello Bob --n 1 --n 2": "--n is given more than once. Give it once.",
    "-v -v hello Bob": "-v is given more than once. Give it once.",
    "--log-dir": "--log-dir needs a value: a path.",
    f"{MAP} --patch-siez 512": "`darts map sentinel2` has no option --patch-siez. Did you mean --patch-size?",
    f"{MAP} --aoi-fil x.gpkg": "`darts map sentinel2` has no option --aoi-fil. Did you mean --aoi-file?",
    f"{MAP} --cloud 10": "`darts map sentinel2` has no option --cloud.",
    f"{MAP} --ofline": "`darts map sentinel2` has no option --ofline. Did you mean --offline?",
    f"{PLANET} --tile-ids 54WWD": "`darts map planet` has no option --tile-ids.",
    "map sentinel2 --tile-ids": "tile_ids is [] but must be a list of MGRS tiles",
    "training create-dataset sentinel2": "`darts training create-dataset sentinel2` needs --labels-dir: a path.",
    # kinds of values
    "status x --every soon": "--every is 'soon' but must be a number. Correct it.",
    "status x --every 0": "every is 0 but must be above 0 seconds. Give 5, for instance.",
    "hello Bob --n two": "--n is 'two' but must be a whole number. Correct it.",
    "hello Bob --n 1.5": "n is 1.5 but must be a whole number. Correct it.",
    "hello Bob --n -1": "n is -1 but must not be negative. Use 0 or more.",
    f"{MAP} --device gpu": "--device is 'gpu' but must be a whole number, or one of cuda, cpu, auto. "
    "Did you mean cuda?",
    f"{MAP} --device cudda": "--device is 'cudda' but must be a whole number, or one of cuda, cpu, auto. "
    "Did you mean cuda?",
    f"{MAP} --device cuda:0": "--device is 'cuda:0' but must be a whole number, or one of cuda, cpu, auto. "
    "Did you mean 0?",
    f"{MAP} --tta ful": "--tta is 'ful' but must be one of none, minimal, standard, full. Did you mean full?",
    f"{MAP} --precision half": "--precision is 'half' but must be one of auto, float32, bfloat16, float16.",
    f"{MAP} --precision bfloat": "--precision is 'bfloat' but must be one of auto, float32, bfloat16, float16. "
    "Did you mean bfloat16?",
    f"{MAP} --patch-size big": "--patch-size is 'big' but must be a whole number, or auto. Correct it.",
    f"{MAP} --patch-size 0": "patch_size is 0 but must be positive. Use 1 or more.",
    f"{MAP} --patch-size -5": "patch_size is -5 but must be positive. Use 1 or more.",
    f"{MAP} --overlap 1024": "overlap is 1024 px but must be below patch_size (1024 px).",
    f"{MAP} --overlap -1": "overlap is -1 but must not be negative.",
    f"{MAP} --batch-size 0": "batch_size is 0 but must be positive.",
    f"{MAP} --reflection 99999": "reflection is 99999 px but must be at most 4096",
    f"{MAP} --offline=maybe": "--offline is 'maybe' but must be yes or no. Correct it.",
    f"{MAP} --quality-level good": "--quality-level is 'good' but must be a whole number, or one of high_quality, "
    "low_quality, none.",
    f"{MAP} --quality-level 3": "quality_level",
    f"{MAP} --binarization-threshold 50": "binarization_threshold is 50.0 but must be from 0 to 1. "
    "It is a probability, not percent.",
    f"{MAP} --binarization-threshold half": "--binarization-threshold is 'half' but must be a number. Correct it.",
    f"{MAP} --binarization-threshold nan": "binarization_threshold is nan but must be a finite number.",
    f"{MAP} --min-object-size -3": "min_object_size is -3 but must not be negative.",
    f"{MAP} --mask-erosion-size ten": "--mask-erosion-size is 'ten' but must be a whole number. Correct it.",
    f"{MAP} --max-memory-gb 0": "max_memory_gb is 0.0 but must be positive.",
    f"{MAP} --tpi-outer-radius 0": "tpi_outer_radius is 0 but must be positive.",
    f"{MAP} --tpi-inner-radius 200": "tpi_inner_radius is 200 m but must be below tpi_outer_radius (100 m).",
    f"{MAP} --tcvis-year 2021": "tcvis_year is 2021 but must be 2019, 2020, 2022 or 2024",
    f"{MAP} --raw-data-source aws": "--raw-data-source is 'aws' but must be one of cdse, cdse-mosaic, composite, e",
    f"{MAP} --raw-data-source earth-search": "cdse-mosaic, composite, earthsearch, gee. Did you mean earthsearch?",
    f"{MAP} --shard 5/4": "shard is '5/4' but must be a part such as 2/4 (the second of four), or slurm. Correct it.",
    f"{MAP} --shard slurm": "shard is slurm, but this is no task of a job array",
    f"{MAP} --overwrite --keep-old": "overwrite makes tiles again that keep_old leaves alone. Give one of them.",
    f"{MAP} --num-cpus 0": "num_cpus is 0 but must be positive.",
    f"{MAP} --devices zero": "--devices is 'zero' but must be a whole number. Correct it.",
    # what selects
    "map sentinel2 --tile-ids 54WWDD": "54WWDD in tile_ids is no MGRS tile such as ",
    "map sentinel2 --tile-ids 61WWD": "61WWD in tile_ids is no MGRS tile such as ",
    f"{MAP} --scene-ids a": "scene_ids and tile_ids both select scenes. Give one of them.",
    f"{MAP} --scene-ids a --aoi-file b": "scene_ids, tile_ids, aoi_file all select scenes. Give one of them.",
    f"{MAP} --start-date 2024": "start_date is '2024' but must be a day such as 2024-07-31. Correct it.",
    f"{MAP} --start-date 31.07.2024": "start_date is '31.07.2024' but must be a day such as 2024-07-31. Correct it.",
    f"{MAP} --end-date 2024-02-30": "end_date is '2024-02-30' but must be a day such as 2024-07-31. Correct it.",
    f"{MAP} --start-date 2024-08-01 --end-date 2024-07-01": "start_date 2024-08-01 is after end_date 2024-07-01.",
    f"{MAP} --months 13": "months contains 13 but must be numbers from 1 to 12. Correct or leave it out.",
    f"{MAP} --ray --months 13": "months contains 13 but must be numbers from 1 to 12. Correct or leave it out.",
    f"{MAP} --months july": "--months is 'july' but must be a whole number from 1 to 12, or a range that goes up",
    f"{MAP} --months 8-7": "--months is '8-7' but must be a whole number from 1 to 12, or a range that goes up",
    f"{MAP} --months 7-13": "months contains 13 but must be numbers from 1 to 12. Correct or leave it out.",
    f"{MAP} --years 2024-2022": "--years is '2024-2022' but must be a whole number, or a range that goes up",
    f"{MAP} --years 2021-20222": "--years is '2021-20222' but must be a whole number, or a range that goes up",
    f"{MAP} --years 1999": "years contains 1999 but must be numbers from 2015 to ",
    f"{MAP} --years 24": "years contains 24 but must be numbers from 2015 to ",
    f"{MAP} --max-cloud-cover 120": "max_cloud_cover is 120 but must be between 0 and 100 percent.",
    f"{MAP} --max-cloud-cover few": "--max-cloud-cover is 'few' but must be a whole number. Correct it.",
    f"{MAP} --max-snow-cover -1": "max_snow_cover is -1 but must be between 0 and 100 percent.",
    f"{MAP} --clip-to-aoi": "clip_to_aoi reads the part of scenes that lies in an area of interest, but none is given.",
    # what comes out
    f"{MAP} --export-bands probability": "cannot export probability (did you mean probabilities?); known are: ",
    f"{MAP} --export-bands polygons": "cannot export polygons (did you mean polygonized?); known are: ",
    f"{MAP} --export-bands binarised": "cannot export binarised (did you mean binarized?); known are: ",
    f"{MAP} --export-bands thumb": "cannot export thumb (did you mean thumbnail?); known are: ",
    f"{MAP} --export-bands xyz": "cannot export xyz; known are: ",
    f"{MAP} --export-bands optical,dem": "cannot export optical,dem; names are separated by spaces, not by commas; ",
    # after all that is cheap
    MAP: "there is no model (*.safetensors, *.pt) in ",
    f"{MAP} --months 7 8 --years 2024": "there is no model (*.safetensors, *.pt) in ",
    PLANET: "there is no model (*.safetensors, *.pt) in ",
    f"{MAP} --workdir nothere": "there is no model (*.safetensors, *.pt) in nothere/models, which does not exist. Put ",
    f"{MAP} --model-files none.pt": "none.pt",
    "fetch sentinel2 --no-optical --no-aux": "nothing is left to fetch. Leave out --no-optical or --no-aux.",
    "fetch sentinel2 --tile-ids X": "X in tile_ids is no MGRS tile such as ",
    "prep-data sentinel2": "nothing is to be prepared. Add --optical, --aux or both",
    "inference benchviz nowhere": "the timer file nowhere does not exist.",
    "inference benchviz .": "has no *.timer.parquet, so no run has ended there.",
    "inventory build nowhere": "nowhere",
    "models show nothing": "there is no model",
}
PYTHON = re.compile(r"\b(int|str|float|bool|NoneType|Literal|list\[|Path\(|Traceback|ValueError|TypeError)\b")


@pytest.mark.parametrize("typed", SLIPS)
def test_a_slip_is_answered_in_one_line(darts_from_shell, typed):
    code, out, err = darts_from_shell(*typed.split())
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert SLIPS[typed] in err
    assert not PYTHON.search(err)


@pytest.mark.parametrize("group", ["", "map", "inference", "training", "models", "inventory"])
def test_help_of_a_group_is_no_error(darts_from_shell, group):
    code, out, err = darts_from_shell(*group.split(), "--help")
    assert (code, err) == (0, "")
    assert "Usage: darts" in out


@pytest.mark.parametrize("typed", ["-v map sentinel2 --help", "--log-plain --help", "-vv map -h", "map sentinel2 -h"])
def test_options_of_every_command_may_stand_before_one_that_is_explained(darts_from_shell, typed):
    code, out, err = darts_from_shell(*typed.split())
    assert (code, err) == (0, "")
    assert "Usage: darts" in out


def test_more_detail_than_there_is_is_all_that_there_is(darts_from_shell):
    assert darts_from_shell("-vvvvv", "hello", "Bob")[:2] == (0, "Hello Bob\n")


def test_there_are_a_hundred():
    assert len(SLIPS) >= 100
