"""Make what is read off the code: tables of parameters, config keys, data dictionary, the example `config.toml`.

Run `uv run python docs/generate.py` after a change of a parameter; a test fails while they are stale.
"""

import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAliasType, Union, get_args, get_origin

import tomli_w
from docstring_parser import parse_from_object

from darts.config.own_keys import own_keys
from darts.pipelines.base import Pipeline
from darts.pipelines.commands import Engine
from darts.pipelines.parameters import Parameters, PipelineParameters
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.ray.pipelines import PlanetRayPipeline, Sentinel2RayPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.training import PingoTrainingData, PlanetTrainingData, Sentinel2TrainingData
from darts_segmentation.training.parameters import (
    CalibrateParameters,
    CrossValidationParameters,
    RunParameters,
    TestParameters,
    TuneParameters,
)
from darts_utils.paths import DefaultPaths
from darts_utils.toml import to_toml_value

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

import config_keys  # noqa: E402
import dictionary  # noqa: E402

COMMANDS: dict[str, type] = {
    "map": Engine,  # beside those of the commands that it is short for
    "inference sentinel2-sequential": Sentinel2Pipeline,
    "inference planet-sequential": PlanetPipeline,
    "inference sentinel2-ray": Sentinel2RayPipeline,
    "inference planet-ray": PlanetRayPipeline,
    "training create-dataset planet": PlanetTrainingData,
    "training create-dataset planet-pingo": PingoTrainingData,
    "training create-dataset sentinel2": Sentinel2TrainingData,
}
LEARNING: dict[str, type] = {
    "training train-smp": RunParameters,
    "training test-smp": TestParameters,
    "training crossval-smp": CrossValidationParameters,
    "training tune-smp": TuneParameters,
    "training calibrate": CalibrateParameters,
}
"""Commands that train: in the tables, but not in the example, where keys such as batch_size are those of maps."""
EXAMPLES = {
    "scene_ids": ["S2B_MSIL2A_20240720T200909_N0510_R128_T08WNB_20240720T234418"],
    "model_files": ["models/with_tcvis.safetensors", "models/without_tcvis.safetensors"],
    "months": [7, 8],
    "years": [2023, 2024],
    "quarters": [3],
    "tile_ids": ["08WNB"],
    "device": "auto",
    "edge_erosion_size": 10,
    "tcvis_year": 2022,
    "max_memory_gb": 12.0,
    "devices": [0, 1],
    "ray_address": "auto",
    "aoi_shapefile": "area.shp",
    "input_cache": "scenes",
    "start_date": "2024-07-01",
    "end_date": "2024-08-31",
    "ee_project": "my-project",
    "scene_id_file": "scenes.txt",
    "aoi_file": "area.gpkg",
    "prep_data_scene_id_file": "staged.json",
    "image_ids": ["20210728_201112_93_2416"],
    "image_id_file": "images.txt",
    "extra_bands": ["ndwi"],
    "shard": "2/4",
    "shard_size": 64,
    "cdse_stac_url": "https://stac.dataspace.copernicus.eu/v1/",
    "cdse_s3_endpoint": "https://eodata.dataspace.copernicus.eu",
    "earthsearch_stac_url": "https://earth-search.aws.element84.com/v1",
    "arcticdem_stac_url": "https://stac.pgc.umn.edu/api/v1/",
    "arcticdem_index_url": "https://data.pgc.umn.edu/elev/dem/setsm/ArcticDEM/indexes/ArcticDEM_Mosaic_Index_latest_gpqt.zip",
    "ee_url": "https://earthengine.googleapis.com",
}
"""What an annotated example shows for parameters that are not given by default."""


def groups(pipeline: type) -> Iterator[tuple[type, list[Field[Any]]]]:
    """Yield the parameter groups of a pipeline with the fields that each declares; base folders are one more."""
    for group in reversed(pipeline.__mro__):
        if not is_dataclass(group) or group in (Parameters, PipelineParameters, Pipeline):
            continue
        if group is pipeline and issubclass(pipeline, Parameters):
            continue
        own = [field for field in fields(group) if field.name in group.__annotations__]
        plain = [field for field in own if field.name != "default_dirs"]
        if plain:
            yield group, plain
        if len(plain) < len(own):
            yield DefaultPaths, list(fields(DefaultPaths))


def help_of(group: type) -> dict[str, str]:
    """Return the help text of each field of a group, in one line."""
    return {item.arg_name: " ".join((item.description or "").split()) for item in parse_from_object(group).params}


def default_of(field: Field[Any]) -> Any:
    """Return the default of a field as the config file would hold it, None where there is none."""
    if field.default is MISSING and field.default_factory is MISSING:
        return None
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    return None if value is None else to_toml_value(value)


def type_of(field: Field[Any]) -> str:
    """Return the type of a field as a person would write it."""
    declared = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
    if get_origin(declared) in (Union, UnionType):
        parts = [type_of_hint(part) for part in get_args(declared) if part is not NoneType]
        return " or ".join(parts)
    return type_of_hint(declared)


def type_of_hint(hint: Any) -> str:
    """Return a type hint as a person would write it."""
    if isinstance(hint, TypeAliasType):
        return type_of_hint(hint.__value__)
    if get_origin(hint) is Literal:
        return ", ".join(map(str, get_args(hint)))
    if get_origin(hint) is list:
        return f"list of {type_of_hint(get_args(hint)[0])}"
    return "path" if hint is Path else hint.__name__


def parameters_page() -> str:
    """Return the page with every parameter of every pipeline."""
    lines = [
        "# Parameters",
        "",
        "Made from the code by `docs/generate.py`. On the command line a parameter is a flag (`patch_size` is",
        "`--patch-size`), in `config.toml` a key of any table below `[darts]`, in Python a field of the pipeline.",
    ]
    for command, pipeline in {**COMMANDS, **LEARNING}.items():
        lines += ["", f"## `darts {command}`"]
        for group, own in groups(pipeline):
            lines += ["", f"### {(group.__doc__ or '').split('.')[0].split(';')[0]}", ""]
            lines += ["| parameter | type | default | meaning |", "|---|---|---|---|"]
            texts = help_of(group)
            for field in own:
                default = default_of(field)
                shown = "" if default is None else f"`{toml(default)}`"
                lines.append(f"| `{field.name}` | {type_of(field)} | {shown} | {texts[field.name]} |")
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return tomli_w.dumps({"x": value}).strip().removeprefix("x = ")


def example_config() -> str:
    """Return the annotated example: every key with its default, or an example, commented out."""
    lines = [
        "# An example of all parameters, made from the code by docs/generate.py. Every command reads `config.toml`",
        "# in the working folder, or the file named with --config-file. Flags win over keys. Tables below [darts] only",
        "# group: a key may stand in any of them, written with `_` or `-`. Remove the `#` before a key to set it.",
        "",
        "[darts]",
        "",
        "[darts.logs]",
        *(line for one in own_keys() for line in (f"# {one.help}", f"# {one.name} = {toml(one.default)}")),
    ]
    seen: set[str] = set()
    for pipeline in COMMANDS.values():
        for group, own in groups(pipeline):
            fresh = [field for field in own if field.name not in seen]
            if not fresh:
                continue
            lines += ["", f"[darts.{table_name(group)}]"]
            texts = help_of(group)
            for field in fresh:
                default = default_of(field)
                value = EXAMPLES.get(field.name, f"/data/{field.name}") if default is None else default
                lines += [f"# {texts[field.name]}", f"# {field.name} = {toml(value)}"]
                seen.add(field.name)
    return "\n".join(lines) + "\n"


def table_name(group: type) -> str:
    """Return a table name for a group: `TpiParameters` is `tpi`."""
    name = group.__name__.removesuffix("Parameters")
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).strip("-")


GENERATED = {
    ROOT / "docs" / "reference" / "parameters.md": parameters_page,
    ROOT / "docs" / "reference" / "config-keys.md": config_keys.page,
    ROOT / "docs" / "reference" / "data-dictionary.md": dictionary.page,
    ROOT / "config.toml": example_config,
}


def main() -> None:
    """Write all generated files."""
    for path, make in GENERATED.items():
        path.write_text(make())


if __name__ == "__main__":
    main()
