"""A sound world, made once: two images of each kind, a network of almost nothing, and what runs over them make."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio

SCENES = (
    "S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418",
    "S2B_MSIL2A_20240721T200909_N0510_R128_T08WNB_20240721T234418",
)
GEE_SCENES = ("20240720T200909_20240720T200905_T08WNB", "20240721T200909_20240721T200905_T08WNB")
PLANET_SCENES = ("20240812_203954_07_1007", "20240813_203954_07_1007")
"""Of each pair the first is spoiled, and the second is its neighbour."""
SIZE = (64, 70)
SMALL = (
    *("--patch-size", "64", "--overlap", "16", "--device", "cpu", "--mask-erosion-size", "2", "--edge-erosion-size"),
    *("2", "--min-object-size", "1", "--export-bands", "probabilities", "binarized", "polygonized", "--log-plain"),
)
RESULTS = {"sentinel2": "sentinel2-cdse", "gee": "sentinel2-gee", "planet": "planet"}
_GEE_BANDS = {"B02_10m": "B2", "B03_10m": "B3", "B04_10m": "B4", "B08_10m": "B8", "SCL_20m": "SCL"}


@dataclass
class World:
    """A copy that a trial may spoil: files below `work`, the command, and the environment."""

    folder: Path
    """Holds the working folder, a home, and `canary`, which nobody may touch."""
    kind: str
    ids: tuple
    """The image to spoil and its neighbour."""
    words: list
    """The command line."""
    environment: dict = field(default_factory=dict)
    catalogue: object = None
    """The server that answers searches, if the world has one."""
    listing: list = field(default_factory=list)
    """What Earth Engine answers with, page by page."""
    had_results: bool = False
    """Whether there are results of an earlier run."""
    old_records: frozenset = frozenset()
    """Names of the records of earlier runs."""

    @property
    def work(self):
        return self.folder / "work"

    @property
    def model(self):
        return self.work / "models" / "small.pt"

    @property
    def results(self):
        return self.work / "output" / RESULTS[self.kind]

    @property
    def image(self):
        """The folder of the image to spoil."""
        if self.kind == "planet":
            return self.work / "input" / "planet" / "scenes" / self.ids[0]
        source = "cdse" if self.kind == "sentinel2" else self.kind
        return self.work / "input" / "sentinel2" / f"{source}-scenes" / f"{source}-s2-sr-scene-{self.ids[0]}.zarr"

    def set(self, flag, *values):
        """Give a flag other values; without any it is left out."""
        if flag in self.words:
            at = self.words.index(flag)
            end = next((i for i in range(at + 1, len(self.words)) if self.words[i].startswith("--")), len(self.words))
            del self.words[at:end]
        if values:
            self.words += [flag, *map(str, values)]


def ids_of(kind):
    """Return the ids of a kind of world."""
    return {"sentinel2": SCENES, "gee": GEE_SCENES, "planet": PLANET_SCENES}[kind]


def command(kind, *selection):
    """Return a command that maps both images of a kind; they are found by an offline selection if none is given."""
    if kind == "planet":
        return ["inference", "planet-sequential", "--offline", *SMALL, *selection]
    source = ["--raw-data-source", "gee"] if kind == "gee" else []
    selection = selection or ("--offline", "--scene-ids", *ids_of(kind))
    return ["inference", "sentinel2-sequential", *source, *SMALL, *map(str, selection)]


def make_tiny_model(path, bands=("red", "nir"), seed=0):
    """Write the smallest network of SMP that loads, of two thousand weights; its output varies over a scene."""
    import segmentation_models_pytorch as smp
    import torch
    from made_up_ground import as_networks_see_it

    from darts_segmentation.models.checkpoint import save_checkpoint

    torch.manual_seed(seed)
    config = {
        "arch": "unet", "encoder_name": "tu-test_byobnet", "encoder_weights": None, "encoder_depth": 1,
        "decoder_channels": [2], "in_channels": len(bands), "classes": 1,
    }  # fmt: skip
    network = smp.create_model(**config).eval()
    with torch.inference_mode():
        logits = network(torch.from_numpy(as_networks_see_it(len(bands))))
        head = network.segmentation_head[0]
        scale = 2 / logits.std()
        head.weight.mul_(scale)
        head.bias.copy_((head.bias - logits.mean()) * scale)
    save_checkpoint(path, config, list(bands), network.state_dict())
    return path


def make_sound(folder, make_scene, make_planet_scene):
    """Write the files of all kinds of worlds."""
    for path in ("canary", "home", "work/models"):
        (folder / path).mkdir(parents=True)
    (folder / "canary" / "thesis.txt").write_text("years of work")
    work = folder / "work"
    make_tiny_model(work / "models" / "small.pt")
    for seed, scene_id in enumerate(SCENES):
        make_scene(work / "input" / "sentinel2" / "cdse-scenes", scene_id, size=SIZE, seed=seed)
        make_planet_scene(work / "input" / "planet" / "scenes", PLANET_SCENES[seed], size=SIZE, seed=seed)
        _make_gee_scene(work / "input" / "sentinel2", scene_id, GEE_SCENES[seed])


def _make_gee_scene(inputs, scene_id, gee_id):
    """Put the same ground into the store of Earth Engine's scenes."""
    from darts_acquisition.optical.sentinel2.scene_store import SceneStore

    scene = SceneStore(inputs / "cdse-scenes", "cdse").open(scene_id)
    bands = {name: scene.read(band) for band, name in _GEE_BANDS.items()}
    properties = {"MEAN_SOLAR_AZIMUTH_ANGLE": 170.0, "MEAN_SOLAR_ZENITH_ANGLE": 50.0}
    SceneStore(inputs / "gee-scenes", "gee").write(gee_id, bands, properties)


def copy_of(sound, folder, kind):
    """Return a world of its own for a trial, without what its kind does not need; `-done` keeps the results."""
    kind, _, done = kind.partition("-")
    others = {f"{source}-scenes" for source in ("cdse", "gee")}
    others -= {"cdse-scenes"} if kind == "sentinel2" else {"gee-scenes"} if kind == "gee" else set()
    others |= {"sentinel2"} if kind == "planet" else {"planet"}
    others |= {"logs", *(set() if done else {"output"})}
    shutil.copytree(sound, folder, ignore=lambda *_: others, dirs_exist_ok=True)
    world = World(folder=folder, kind=kind, ids=ids_of(kind), words=command(kind), had_results=bool(done))
    world.old_records = (
        frozenset(path.name for path in world.results.glob("*.results.parquet")) if done else frozenset()
    )
    return world


def products(folder):
    """Return what a run made of an image, as plain values that can be compared: maps and objects."""
    import geopandas as gpd

    made = {}
    for name in ("probabilities", "binarized"):
        with rasterio.open(folder / f"{name}.tif") as raster:
            made[name] = (str(raster.crs), tuple(raster.transform), raster.read().tolist())
    objects = gpd.read_parquet(folder / "prediction_segments.parquet")
    made["objects"] = json.loads(objects.drop(columns=["image_id"], errors="ignore").to_json())
    return made


def is_empty(made):
    """Tell whether a map shows nothing at all: no pixel has a probability."""
    return bool((np.array(made["probabilities"][2]) == 255).all())
