"""Flags, config files and variables: values that are none, odd files, and an environment as people have it."""

from hostile import damage
from hostile.trials import Family, may

bad = Family("configs", kind="sentinel2")

_WHOLE = (
    "--patch-size",
    "--overlap",
    "--mask-erosion-size",
    "--edge-erosion-size",
    "--min-object-size",
    "--batch-size",
    "--reflection",
    "--tpi-outer-radius",
    "--tpi-inner-radius",
)


def _refused(*names):
    return may("refused", names=names, both=True)


@bad.each(
    {
        "text": "abc",
        "empty": "",
        "negative": "-5",
        "huge": "9" * 400,
        "list": "[64]",
        "unit": "64px",
        "comma": "6,4",
        "none": "None",
        "dash": "\u22125",
        "nul": "6 4",
        "markup": "[bold]64",
        "newline": "6\n4",
    }
)
def whole_number(world, rng, text):
    flag = rng.choice(_WHOLE)
    world.set(flag, text)
    ends = ("refused", "own", "sound") if (flag, text) == ("--edge-erosion-size", "None") else ("refused",)
    return may(*ends, names=(flag, flag[2:].replace("-", "_")), both=True)


@bad.each({"fraction": "64.5", "tenth": "0.1", "nan": "nan", "inf": "inf", "exponent": "1e400"})
def fraction_for_a_whole_number(world, rng, text):
    flag = rng.choice([*_WHOLE, "--max-cloud-cover"])
    world.set(flag, text)
    return _refused(flag, flag[2:].replace("-", "_"))


@bad.each(
    {
        "above": "1.5",
        "negative": "-0.1",
        "nan": "nan",
        "inf": "inf",
        "minus-inf": "-inf",
        "text": "half",
        "percent": "50%",
        "empty": "",
    }
)
def threshold(world, rng, text):
    world.set("--binarization-threshold", text)
    return _refused("binarization-threshold", "binarization_threshold")


@bad.each({"zero": "0", "negative": "-1", "nan": "nan", "inf": "-inf", "text": "lots", "tiny": "1e-9"})
def memory(world, rng, text):
    world.set("--max-memory-gb", text)
    ends = ("refused", "sound") if text == "1e-9" else ("refused",)
    return may(*ends, names=("max-memory-gb", "max_memory_gb"), both=True)


@bad.each(
    {
        "none": (),
        "unknown": ("ndiv",),
        "path": ("../../canary/x",),
        "absolute": ("/tmp/x",),
        "empty": ("",),
        "case": ("Probabilities",),
        "newline": ("a\nb",),
        "percent": ("%s",),
        "all": ("*",),
    }
)
def export_bands(world, rng, names):
    world.words.remove("--log-plain")
    world.set("--export-bands", *names)
    world.words += ["--log-plain"] if names else ["--export-bands", "--log-plain"]
    return _refused("export_bands", "export-bands", *names, "export", "a b")


@bad.each(
    {"gpu-99": "99", "cuda": "cuda:7", "text": "fast", "empty": "", "negative": "-1", "path": "/dev/null", "tpu": "tpu"}
)
def device(world, rng, text):
    world.set("--device", text)
    return _refused("device", "GPU", "CUDA")


@bad.each({"seven": "7", "text": "best", "negative": "-1", "empty": "", "fraction": "1.5"})
def quality_level(world, rng, text):
    world.set("--quality-level", text)
    return _refused("quality-level", "quality_level")


@bad.each(
    {
        "unknown": ("--frobnicate", "5"),
        "typo": ("--patchsize", "64"),
        "long": ("--" + "x" * 5000,),
        "lonely": ("--", "x"),
        "stray": ("stray",),
        "unicode": ("\u2014\u2014offline",),
        "empty": ("",),
        "single": ("-patch-size", "64"),
    }
)
def flag(world, rng, words):
    world.words[2:2] = words
    return _refused("nknown", "sed", "x", words[0][:20], "accept")


@bad.each(
    {
        "none": [],
        "unknown": ["inference", "landsat"],
        "long": ["x" * 5000],
    }
)
def command(world, rng, words):
    if not words:
        words = ["inference", "sentinel2-sequential"]
    world.words = [*words, "--log-plain"]
    return _refused("nknown", "selected", "x")


@bad.each(
    {
        "two": ("--scene-ids", "x", "--tile-ids", "08WNB"),
        "dates": ("--tile-ids", "08WNB", "--start-date", "2024-13-45"),
        "reversed": ("--tile-ids", "08WNB", "--start-date", "2024-07-02", "--end-date", "2024-07-01"),
        "months": ("--tile-ids", "08WNB", "--months", "13"),
        "years": ("--tile-ids", "08WNB", "--years", "99999"),
        "word": ("--tile-ids", "08WNB", "--start-date", "yesterday"),
        "unbounded": ("--tile-ids", "08WNB"),
        "cloud": ("--tile-ids", "08WNB", "--years", "2024", "--max-cloud-cover", "101"),
        "offline": ("--offline", "--tile-ids", "08WNB", "--years", "2024"),
        "months-none": ("--tile-ids", "08WNB", "--months"),
        "url": ("--tile-ids", "08WNB", "--years", "2024", "--cdse-stac-url", "no address"),
        "ftp": ("--tile-ids", "08WNB", "--years", "2024", "--cdse-stac-url", "ftp://x"),
    }
)
def selection(world, rng, words):
    world.words = [word for word in world.words if word != "--offline"]
    world.set("--scene-ids")
    world.words += [
        *words,
        *([] if "--offline" in words or "--cdse-stac-url" in words else ["--cdse-stac-url", world.catalogue.url]),
    ]
    return _refused("tile_ids", "scene_ids", "date", "month", "year", "cloud", "offline", "stac", "address")


def _config(world, text, name="config.toml"):
    path = world.work / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return path


@bad.each(
    {
        "not-toml": "[darts\n",
        "words": "hello",
        "twice": "[darts]\npatch_size = 1\npatch_size = 2",
        "two-tables": "[darts.a]\nbatch_size = 1\n[darts.b]\nbatch_size = 2",
        "not-a-table": "darts = 5",
        "list": "darts = [1]",
        "nul": "[darts]\n\x00",
        "latin": "[darts]\n# \u00e9".encode("latin-1"),
        "cut": '[darts]\nmodel_files = ["a',
        "json": '{"darts": {}}',
        "surrogate": b'[darts]\nx = "\xed\xa0\x80"',
        "binary": bytes(range(256)),
        "deep": "[darts]\nx = " + "[" * 5000,
        "type": "[darts]\nbatch_size = 'many'",
        "array": "[darts]\nbatch_size = [8]",
        "table": "[darts.batch_size]\nbatch-size = -1",
        "date": "[darts]\nmin_cloud = 2024-07-20\nbatch_size = 2024-07-20",
        "bool": "[darts]\nbatch_size = true",
        "none": "[darts]\nbatch_size = ''",
        "negative": "[darts]\nbatch_size = -1",
        "list-of-tables": "[[darts]]\nbatch_size = 1",
    }
)
def file(world, rng, text):
    path = _config(world, text)
    return _refused(path.name, "batch")


@bad.each({"fraction": "1.5", "nan": "nan", "inf": "inf", "tenth": "0.1"})
def fraction_in_a_file(world, rng, number):
    _config(world, f"[darts]\n{rng.choice(['batch_size', 'reflection'])} = {number}")
    return _refused("batch", "reflection")


@bad.each(
    {
        "unknown-key": "[darts]\nbatchsize = 4",
        "near": "[darts.x]\nbatch_sise = 4",
        "unicode": '[darts]\n"\u00e9" = 4',
        "empty-key": '[darts]\n"" = 4',
        "long-key": f"[darts]\n{'x' * 3000} = 4",
        "markup": '[darts]\n"[red]" = 4',
    }
)
def unknown_key(world, rng, text):
    _config(world, text)
    return may("sound", says="no darts command knows the key", both=True)


@bad.each(
    {
        "empty": "",
        "bom": b"\xef\xbb\xbf[darts]\nbatch_size = 4",
        "utf-16": "[darts]\nbatch_size = 4".encode("utf-16"),
        "crlf": "[darts]\r\nbatch_size = 4\r\n",
        "others": "[tool.x]\na = 1",
        "hyphens": "[darts.a.b.c]\nbatch-size = 4",
        "home": "[darts]\nmodels_dir = '${PWD}/models'",
        "comment": "# \u2603",
    }
)
def sound_file(world, rng, text):
    world.environment["PWD"] = str(world.work)
    _config(world, text)
    return may("sound", both=True)


@bad.each({how.__name__: how for how in (damage.folder_instead, damage.loop_instead)})
def file_that_is_none(world, rng, how):
    how(_config(world, "x"), rng)
    return _refused("config.toml")


@bad
def file_that_leads_nowhere(world, rng):
    damage.nowhere_instead(_config(world, "x"), rng)
    return may("refused", "sound", names="config.toml", both=True)


@bad.each({"nowhere": "none.toml", "null": "/dev/null", "folder": "models", "long": "x" * 5000, "empty": ""})
def config_file(world, rng, path):
    world.words += ["--config-file", path]
    ends = ("sound",) if path == "/dev/null" else ("refused",)
    return may(*ends, names=(path[:100] or "config",), both=True)


@bad.each(
    {
        "file": "models/small.pt",
        "empty": "",
        "nowhere": "/proc/none/x",
        "nul-device": "/dev/null",
        "long": "x" * 5000,
        "unset": "${NO_SUCH_VARIABLE}/x",
        "nobody": "~nobody-of-this-name/x",
    }
)
def folder_of_data(world, rng, path):
    variable = rng.choice(["DARTS_DATA_DIR", "DARTS_FAST_DATA_DIR", "DARTS_LARGE_DATA_DIR"])
    world.environment[variable] = path
    ends = ("sound",) if not path else ("refused", "failed")
    return may(*ends, both=True)


@bad.each({"file": "models/small.pt", "loop": "loop", "null": "/dev/null/x", "long": "x" * 5000, "proc": "/proc/x"})
def output_folder(world, rng, path):
    (world.work / "loop").symlink_to("loop")
    flag = rng.choice(["--output-data-dir", "--metadata-dir"])
    world.set(flag, path)
    return _refused(path[:100], "folder")


@bad.each({"file": "models/small.pt", "loop": "loop", "null": "/dev/null/x", "long": "x" * 5000, "proc": "/proc/x"})
def log_folder(world, rng, path):
    (world.work / "loop").symlink_to("loop")
    world.words += [rng.choice(["--log-dir", "--logs-dir"]), path]
    return may("refused", "sound", names=(path[:100], "log"), both=True)


@bad.each(
    {
        "threads": {"OMP_NUM_THREADS": "abc", "MKL_NUM_THREADS": "-1"},
        "gpu": {"CUDA_VISIBLE_DEVICES": "x,y"},
        "slurm": {
            "SLURM_MEM_PER_NODE": "lots",
            "SLURM_CPUS_PER_TASK": "-1",
            "SLURM_JOB_ID": "x",
            "SLURM_MEM_PER_CPU": "0",
        },
        "gdal": {"GDAL_CACHEMAX": "abc", "GDAL_NUM_THREADS": "x", "CPL_DEBUG": "OFF", "GDAL_DRIVER_PATH": "/none"},
        "columns": {"COLUMNS": "0", "LINES": "-5"},
        "term": {"TERM": "", "NO_COLOR": "", "FORCE_COLOR": "9"},
        "zone": {"TZ": "Mars/Olympus"},
        "clock": {"OGR_CURRENT_DATE": "yesterday"},
        "numba": {"NUMBA_NUM_THREADS": "1"},
        "tmp": {"TMPDIR": "/none/at/all"},
        "aws": {"AWS_PROFILE": "nobody", "AWS_DEFAULT_REGION": ""},
        "urls": {"DARTS_CDSE_STAC_URL": "x", "DARTS_EE_URL": ""},
    }
)
def environment(world, rng, variables):
    world.environment |= variables
    return may("sound", both=True)


@bad.each(
    {
        "ascii": {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        "none": {"LC_ALL": "xx_XX.nonsense"},
        "latin": {"PYTHONIOENCODING": "latin-1", "LANG": "de_DE.ISO-8859-1", "PYTHONUTF8": "0"},
    }
)
def locale(world, rng, variables):
    world.environment |= variables
    _config(world, '[darts]\n"\u00e9\u2603" = 4')
    return may("sound", says="no darts command knows the key", both=True)


@bad.each({"no-home": {"HOME": "/none"}, "file-home": {"HOME": "/dev/null"}, "empty-home": {"HOME": ""}})
def home(world, rng, variables):
    world.environment |= variables
    return may("sound", both=True)


@bad
def nothing_can_be_written(world, rng):
    """The working folder holds a file where logs and results go."""
    for name in rng.choice([("output",), ("logs",), ("output", "logs")]):
        path = world.work / name
        if path.is_dir():
            path.rmdir()
        path.write_text("a file")
    return may("refused", "sound", names=("output", "logs"), both=True)
