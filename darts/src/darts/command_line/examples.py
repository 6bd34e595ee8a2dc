"""What commands are typed like: three lines each, at the end of their help and on their pages."""

from collections.abc import Sequence

import cyclopts

_AOI = "--aoi-file banks_island.gpkg"
_IDS = "--scene-id-file scenes.txt"
_RESULTS = "output/sentinel2-cdse"
_TRAIN = "--name own --max-epochs 40"
EXAMPLES: dict[str, tuple[str, ...]] = {
    "map sentinel2": (
        f"--raw-data-source earthsearch {_AOI} --clip-to-aoi --years 2024 --months 7-8",
        f"--offline {_IDS} --export-bands probabilities polygonized --output-data-dir output/quick",
        f"--offline {_IDS} --shard slurm --log-plain",
    ),
    "map planet": (
        "--dry-run",
        "--image-ids 20240712_201112_93_2416 --binarization-threshold 0.6",
        "--offline --ray --orthotiles-dir /data/planet/tiles",
    ),
    "fetch sentinel2": (
        f"{_AOI} --years 2021-2024 --months 7-8 --prep-data-scene-id-file banks.json",
        f"{_IDS} --no-aux",
        "--tile-ids 10XDF --start-date 2024-07-01 --end-date 2024-08-31 --dry-run",
    ),
    "fetch planet": ("--dry-run", "--image-id-file images.txt", "--force --orthotiles-dir /data/planet/tiles"),
    "search sentinel2": (
        f"--raw-data-source earthsearch {_AOI} --years 2024 --months 7-8 --picture scenes.png",
        "--tile-ids 08WNB 10XDF --years 2021- --max-cloud-cover 30 --out scenes.geojson",
        f"{_IDS} --json",
    ),
    "composite sentinel2": (
        "--tile-ids 10XDF --years 2024 --months 7-8 --max-cloud-cover 60",
        "--tile-ids 10XDF --years 2021-2024 --months 7-8 --method medoid --composite-id-file composites.json",
        f"--offline {_IDS} --method max-ndvi",
    ),
    "status": (_RESULTS, f"{_RESULTS} --watch --every 30", f"{_RESULTS} --json"),
    "report": (
        _RESULTS,
        "output/sentinel2-cdse output/planet --out output/both",
        f"{_RESULTS} --metadata-dir records",
    ),
    "review": (
        f"{_RESULTS}/inventory",
        "inventory --tiles output/2023 output/2024 --plan sample",
        "inventory --plan changed --page review.html",
    ),
    "publish": (
        f"{_RESULTS}/inventory --out catalogue --about about.toml",
        "inventory --tiles output/2023 output/2024 --out catalogue --evaluation evaluation",
        "--check catalogue",
    ),
    "inference sentinel2-sequential": (
        f"{_AOI} --years 2024 --months 7-8",
        f"--offline {_IDS} --tta standard --uncertainty",
        f"--offline {_IDS} --overwrite --precision float32",
    ),
    "inference planet-sequential": (
        "--dry-run",
        "--offline --scenes-dir /data/planet/scenes --device cpu",
        "--image-id-file output/planet/failed.txt",
    ),
    "inference sentinel2-ray": (
        f"--offline {_IDS}",
        f"--offline {_IDS} --ray-address auto --num-cpus 2",
        f"--offline {_IDS} --devices 0 1",
    ),
    "inference planet-ray": ("--offline", "--offline --ray-address auto", "--offline --devices 0 1 --num-cpus 2"),
    "inference benchviz": (
        _RESULTS,
        f"{_RESULTS}/2024-09-01_12-00-00.timer.parquet",
        f"{_RESULTS} --viz-dir pictures",
    ),
    "prep-data sentinel2": (
        f"--optical --aux {_AOI} --years 2024 --prep-data-scene-id-file banks.json",
        f"--aux {_IDS}",
        "--optical --tile-ids 10XDF --years 2024 --months 7-8 --dry-run",
    ),
    "prep-data planet": ("--aux", "--aux --image-ids 20240712_201112_93_2416", "--force --dry-run"),
    "training create-dataset planet": (
        "--labels-dir labels --data-dir input/planet",
        "--labels-dir labels --data-dir input/planet --patch-size 512 --overlap 64",
        "--labels-dir labels --data-dir input/planet --extra-bands ndwi",
    ),
    "training create-dataset planet-pingo": (
        "--labels-dir pingos --data-dir input/planet",
        "--labels-dir pingos --data-dir input/planet --patch-size 512",
        "--labels-dir pingos --data-dir input/planet --offline",
    ),
    "training create-dataset sentinel2": (
        "--labels-dir labels",
        "--labels-dir labels --raw-data-source earthsearch",
        "--labels-dir labels --offline --patch-size 512",
    ),
    "train": (_TRAIN, f"{_TRAIN} --accelerator cpu --batch-size 4", f"{_TRAIN} --devices 0 1"),
    "training test-smp": (
        "--name own",
        "--name own --accelerator cpu",
        "--name own --train-data-dir training/planet_512",
    ),
    "training crossval-smp": ("--cv-name folds", "--cv-name folds --n-folds 5", "--cv-name folds --accelerator cpu"),
    "training tune-smp": (
        "--tune-name search",
        "--tune-name search --n-trials 20",
        "--tune-name search --accelerator cpu",
    ),
    "training calibrate": (
        "models/own.safetensors",
        "models/a.safetensors models/b.safetensors --name both",
        "models/own.pt",
    ),
    "training validate-dataset": (
        "training/sentinel2_512",
        "training/planet_512",
        "/data/training/planet_512 --log-plain",
    ),
    "training show-dataset": ("training/sentinel2_512", "training/planet_512", "/data/training/planet_512"),
    "models list": ("", "--models-dir /data/models", "--json"),
    "models show": ("own", "own.safetensors", "own --json"),
    "models pack": ("old.pt", "old.ckpt --out models/new.safetensors", "old.pt --name coast"),
    "models verify": ("", "models/own.safetensors", "models/a.safetensors models/b.safetensors"),
    "models convert": ("old.ckpt", "old.ckpt --out models/new.safetensors", "old.pt"),
    "models export": (
        "models/own.safetensors",
        "models/own.safetensors --format onnx",
        "models/own.safetensors --out own.pt2",
    ),
    "models get": (
        "coast",
        "https://example.org/coast.safetensors --sha256 0123abcd",
        "coast --models-dir /data/models",
    ),
    "inventory build": (_RESULTS, "output/2023 output/2024 --out inventory", f"{_RESULTS} --json"),
    "inventory track": (f"{_RESULTS}/inventory", "inventory --json", "inventory --log-plain"),
    "inventory evaluate": (
        "inventory truth.gpkg",
        "inventory truth.gpkg --out scores",
        "slumps.gpkg truth.gpkg --json",
    ),
    "inventory verdicts": (
        f"{_RESULTS}/inventory",
        "inventory verdicts-anna.json verdicts-boris.json",
        "inventory --labels-dir labels --json",
    ),
    "inventory polygonize": (
        f"{_RESULTS} --threshold 0.6 --out stricter",
        f"{_RESULTS} --threshold 0.4 --out looser",
        f"{_RESULTS} --threshold 0.5 --out same",
    ),
    "inventory agree": ("ann.gpkg ben.gpkg", "ann.gpkg ben.gpkg cid.gpkg --out agreed", "a.gpkg b.gpkg c.gpkg"),
    "inventory density": ("inventory", "inventory --out density", "inventory --json"),
    "inventory show": ("inventory", "inventory --at -128.5 70.2", "inventory --out pictures"),
    "inventory export": ("inventory", "inventory --out slumps.gpkg", "inventory --out slumps.geojson"),
    "inventory import": (
        "arts.gpkg --out labels.parquet",
        "arts.parquet --out reference.parquet",
        "arts.geojson --out labels.parquet",
    ),
    "config show": ("", "map sentinel2 --origin", "map sentinel2 --json"),
    "config check": ("", "cluster.toml", "/shared/darts/config.toml"),
    "config schema": ("", "--out darts.schema.json", "--log-plain"),
    "env-info": ("", "--check", "--check --offline --json"),
    "debug-default-paths": ("", "--workdir /data/darts", "--raw-data-source earthsearch"),
    "upgrade-results": (_RESULTS, "output/planet", f"{_RESULTS} --metadata-dir records"),
    "demo": ("", "--seed 12 --size 512", "--n-years 5 --folder world"),
    "validate-inference": (
        "models/own.safetensors input/sentinel2/cdse-scenes",
        "own input/planet/scenes/20240712_201112_93_2416",
        "own input/planet/scenes/20240712_201112_93_2416 --json checks.json",
    ),
}
"""By command, what follows it."""
_SAME = {
    "inference prep-data sentinel2": "prep-data sentinel2",
    "inference prep-data planet": "prep-data planet",
    "training train-smp": "train",
    "training train": "train",
    "training test": "training test-smp",
    "training cross-validate": "training crossval-smp",
    "training tune": "training tune-smp",
}


def examples_of(command: str) -> list[str]:
    """Return what a command is typed like, whole lines; of an unknown one none."""
    return [f"darts {command} {rest}".rstrip() for rest in EXAMPLES.get(_SAME.get(command, command), ())]


def with_examples(app: cyclopts.App, tokens: Sequence[str]) -> None:
    """Let the help of the command that tokens begin with end with examples."""
    path: list[str] = []
    for token in (token for token in tokens if not token.startswith("-")):
        if token not in app:
            break
        app, path = app[token], [*path, token]
    lines = examples_of(" ".join(path))
    if path and lines and app.default_command is not None:
        app.help_epilogue = "\n".join(["Examples:", "", *(f"    {line}" for line in lines)])
