"""The commands by name: where what they do is, imported when one is called, and what they are for."""

from dataclasses import dataclass, replace

import cyclopts

subcommands_group = cyclopts.Group.create_ordered("Pipelines & Scripts")
sequential_group = cyclopts.Group.create_ordered("Sequential Pipelines")
ray_group = cyclopts.Group.create_ordered("Ray Pipelines")
utilities_group = cyclopts.Group.create_ordered("Utilities")


@dataclass(frozen=True)
class Command:
    """A command that is imported when it is called."""

    names: tuple[str, ...]
    """The last words by which it is called; the first one is its name."""
    function: str
    """`module:function`."""
    help: str
    group: cyclopts.Group | None = None
    """Where the help lists it, with the others if not given."""
    folders_only: bool = False
    """Whether it takes only base folders from a config file, for its other flags are typed each time."""


def _in(module: str, *commands: Command) -> tuple[Command, ...]:
    """Return commands whose functions are in a module."""
    return tuple(replace(command, function=f"{module}:{command.function}") for command in commands)


_TRAIN = "Train a network on a training set, and write it as a calibrated model."
COMMANDS: dict[str, tuple[Command, ...]] = {
    "": (
        Command(
            ("env-info",),
            "darts.environment.commands:env_info",
            "Print versions, processors and GPUs that a run would use, and what would be slow or fail.",
            utilities_group,
        ),
        Command(
            ("debug-default-paths",),
            "darts.pipelines.paths:debug_default_paths",
            "Print the locations that a run would use; nothing is made on disk.",
            utilities_group,
        ),
        Command(
            ("upgrade-results",),
            "darts.pipelines.results.upgrade:upgrade_results",
            "Tell results of earlier releases how they were made, where the record of their run proves it.",
            utilities_group,
        ),
        Command(
            ("demo",),
            "darts.demo.run:demo",
            "Map slumps in a made-up stretch of Arctic coast and compare them with the truth; needs no account.",
            subcommands_group,
        ),
        Command(
            ("validate-inference",),
            "darts.validation.command:validate_inference",
            "Check that inference with a model does what it promises on a scene, on this machine.",
            utilities_group,
        ),
        Command(
            ("status",),
            "darts.status.command:status",
            "Show what runs are at: done, failed and why, what is at work, and how long it will take.",
            subcommands_group,
            folders_only=True,
        ),
        Command(
            ("report",),
            "darts.report.command:report",
            "Write a page over results folders: map, pictures, table, failures, times; and a QGIS project.",
            subcommands_group,
            folders_only=True,
        ),
        Command(
            ("review",),
            "darts.review.command:review",
            "Show slumps of an inventory one by one on a page, and write down which are slumps.",
            subcommands_group,
            folders_only=True,
        ),
        Command(
            ("publish",),
            "darts.publish.command:publish",
            "Write an inventory as a catalogue for others: map, layers, mosaics, metadata; or check one.",
            subcommands_group,
            folders_only=True,
        ),
        Command(("train",), "darts.training.commands:train_smp", _TRAIN, subcommands_group),
    ),
    "map": _in(
        "darts.pipelines.commands",
        Command(("sentinel2",), "map_sentinel2", "Map slumps in Sentinel-2 scenes."),
        Command(("planet",), "map_planet", "Map slumps in PlanetScope orthotiles and scenes."),
    ),
    "fetch": _in(
        "darts.pipelines.commands",
        Command(("sentinel2",), "fetch_sentinel2", "Fetch scenes, elevation and trends for offline runs."),
        Command(("planet",), "fetch_planet", "Fetch elevation and trends for offline runs over PlanetScope images."),
    ),
    "search": _in(
        "darts.search.command",
        Command(
            ("sentinel2",),
            "search_sentinel2",
            "Show which Sentinel-2 scenes there are: dates, cloud, snow, sizes; no model is needed.",
        ),
    ),
    "composite": _in(
        "darts.composite.command",
        Command(
            ("sentinel2",),
            "composite_sentinel2",
            "Make one cloud-free scene of the Sentinel-2 scenes of a tile and a summer, to be mapped like any.",
        ),
    ),
    "inference": (
        Command(
            ("sentinel2-sequential",),
            "darts.pipelines.sentinel2:run_sentinel2_sequential",
            "Map slumps in Sentinel-2 scenes, one after the other.",
            sequential_group,
        ),
        Command(
            ("planet-sequential",),
            "darts.pipelines.planet:run_planet_sequential",
            "Map slumps in PlanetScope orthotiles and scenes, one after the other.",
            sequential_group,
        ),
        Command(
            ("sentinel2-ray",),
            "darts.pipelines.ray.pipelines:run_sentinel2_ray",
            "Map slumps in Sentinel-2 scenes on a Ray cluster, or on all cores and GPUs of this machine.",
            ray_group,
        ),
        Command(
            ("planet-ray",),
            "darts.pipelines.ray.pipelines:run_planet_ray",
            "Map slumps in PlanetScope images on a Ray cluster, or on all cores and GPUs of this machine.",
            ray_group,
        ),
    ),
    "prep-data": _in(
        "darts.pipelines.commands",
        Command(
            ("sentinel2",),
            "prepare_sentinel2",
            "Fetch scenes, elevation and trends, so that a later run can be offline.",
        ),
        Command(
            ("planet",),
            "prepare_planet",
            "Fetch elevation and trends for PlanetScope images, so that a later run can be offline.",
        ),
    ),
    "create-dataset": _in(
        "darts.datasets.build.pipelines",
        Command(
            ("planet",),
            "create_planet_dataset",
            "Make training data of PlanetScope images and the slumps digitised on them.",
        ),
        Command(
            ("planet-pingo",),
            "create_pingo_dataset",
            "Make training data of PlanetScope images that lie at any depth, found by their *_SR.tif.",
        ),
        Command(
            ("sentinel2",),
            "create_sentinel2_dataset",
            "Make training data of Sentinel-2 scenes, with slumps digitised on PlanetScope images.",
        ),
    ),
    "training": (
        *_in(
            "darts.training.commands",
            Command(("train-smp", "train"), "train_smp", _TRAIN),
            Command(("test-smp", "test"), "test_smp", "Test a model on patches that it has not learned from."),
            Command(
                ("crossval-smp", "cross-validate"),
                "crossval_smp",
                "Train every fold with several seeds, and score the runs.",
            ),
            Command(("tune-smp", "tune"), "tune_smp", "Search for hyperparameters, by cross-validation."),
            Command(
                ("calibrate",),
                "calibrate",
                "Calibrate a model, or several as an ensemble, on patches they have not learned from.",
            ),
        ),
        Command(
            ("validate-dataset",),
            "darts.datasets.inspect.validate:validate_command",
            "Check that a training set is whole and sound.",
            utilities_group,
        ),
        Command(
            ("show-dataset",),
            "darts.datasets.inspect.show:show_dataset",
            "Draw patches of a training set with their labels, and a map of where they lie.",
            utilities_group,
        ),
    ),
    "models": _in(
        "darts.models.commands",
        Command(("list",), "list_models", "Show what is in the models folder."),
        Command(("show",), "show_model", "Show all that a model says of itself."),
        Command(("pack",), "pack_model", "Write an older model as .safetensors, with what you state about it."),
        Command(("verify",), "verify_models", "Check hash, bands, weights and a forward pass of models."),
        Command(
            ("convert",),
            "convert_model",
            "Write a Lightning checkpoint, or another older layout, as .safetensors.",
        ),
        Command(("export",), "export_model", "Write the network of a model for other programs, as .pt2 or ONNX."),
        Command(("get",), "get_model", "Fetch a model over https; it appears only if its hash is right."),
    ),
    "inventory": (
        *_in(
            "darts.inventory.commands",
            Command(
                ("build",),
                "build_inventory",
                "Make one inventory of all tiles: slumps of each year, and tracks over years.",
            ),
            Command(("track",), "track_inventory", "Make slumps and tracks again, with other rules or published ids."),
            Command(
                ("evaluate",),
                "evaluate_inventory",
                "Compare slumps with a reference: found, missed and false ones.",
            ),
        ),
        Command(
            ("verdicts",),
            "darts.inventory.judging:bring_verdicts",
            "Bring verdicts of a review into an inventory: precision, agreement, labels.",
            folders_only=True,
        ),
        Command(
            ("polygonize",),
            "darts.inventory.polygonize:polygonize_tiles",
            "Make polygons again from probabilities, without networks.",
        ),
        Command(
            ("agree",),
            "darts.inventory.commands:agreement_of_layers",
            "Compare several people's outlines, and write what most agree on.",
        ),
        Command(
            ("density",),
            "darts.inventory.density:density_of_inventory",
            "Add up slumps and ground over cells, districts and latitudes.",
        ),
        *_in(
            "darts.inventory.exchange",
            Command(
                ("show",),
                "show_inventory",
                "Draw a place year by year, with what changed, and sizes and growth.",
            ),
            Command(
                ("export",),
                "export_inventory",
                "Write an inventory for other programs, or in the schema of ARTS.",
            ),
            Command(
                ("import",),
                "import_layer",
                "Check a layer in the schema of ARTS, and write it as labels or reference.",
            ),
        ),
    ),
    "config": _in(
        "darts.config.commands",
        Command(("show",), "show_config", "Show every key with its value, and where that comes from."),
        Command(("check",), "check_config", "Report all that is wrong with a config file."),
        Command(
            ("schema",),
            "config_schema",
            "Print a JSON schema of config files, by which editors check and complete them.",
        ),
    ),
}
"""By the last word of their group."""
