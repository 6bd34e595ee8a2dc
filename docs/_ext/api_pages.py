"""Pages of the functions and classes that scripts import, made when the site is built: `reference/api/*.md`."""

import importlib
import inspect
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

FOLDER = Path(__file__).resolve().parents[1] / "reference" / "api"
PAGES = {
    "darts": {
        "darts.pipelines": "Sentinel2Pipeline PlanetPipeline Sentinel2RayPipeline PlanetRayPipeline",
        "darts.training": "preprocess_planet_train_data preprocess_planet_train_data_pingo preprocess_s2_train_data",
        "darts.validation.command": "validate_inference",
        "darts.utils.bench": "benchviz",
        "darts.utils.config": "ConfigParser",
        "darts.utils.cuda": "debug_info decide_device",
        "darts.utils.earthengine": "init_ee",
        "darts.utils.logging": "VerbosityLevel",
    },
    "darts_acquisition": {"darts_acquisition": ""},
    "darts_preprocessing": {"darts_preprocessing": "", "darts_preprocessing.indices": "calculate_index"},
    "darts_segmentation": {
        "darts_segmentation": "",
        "darts_segmentation.metrics": "",
        "darts_segmentation.training": "",
        "darts_segmentation.training.data": "DartsDataModule",
        "darts_segmentation.training.hparams": "parse_hyperparameters",
        "darts_segmentation.training.prepare_training": "TrainDatasetBuilder",
        "darts_segmentation.training.scoring": "score_from_runs",
    },
    "darts_postprocessing": {"darts_postprocessing": ""},
    "darts_export": {"darts_export": "", "darts_export.vectorization": "vectorize"},
    "darts_utils": {
        "darts_utils.bands": "BandCodec BandManager",
        "darts_utils.paths": "DefaultPaths",
        "darts_utils.tilecache": "XarrayCacheManager",
        "darts_utils.toml": "write_function_args_to_config_file",
    },
}
"""Packages, their modules, and the names of each that have a place here: all of `__all__` where none is named."""
MEMBERS = {"darts.pipelines": "run, prepare_data"}
"""Of classes that hold many parameters, which have a table of their own, only these are shown."""


def page(package: str) -> str:
    """Return the page of a package."""
    lines = [f"# `{package}`", "", *first_lines(package), ""]
    if package == "darts":
        lines += ["`**parameters` are those of the command, by the names in the [table](../parameters.md).", ""]
    for module, named in PAGES[package].items():
        if module != package:
            lines += [f"## `{module}`", ""]
        lines += ["```{eval-rst}"]
        for name in named.split() or importlib.import_module(module).__all__:
            lines += directive(module, name)
        lines += ["```", ""]
    return "\n".join(lines)


def first_lines(package: str) -> list[str]:
    """Return what a package says of itself first."""
    return (inspect.getdoc(importlib.import_module(package)) or "").split("\n\n")[0].splitlines()


def directive(module: str, name: str) -> list[str]:
    """Return how the page asks for the documentation of a name."""
    found = getattr(importlib.import_module(module), name)
    if not callable(found):
        return [
            f".. py:data:: {module}.{name}",
            "",
            f"   Names of bands: {', '.join(f'``{band}``' for band in sorted(found))}.",
            "",
        ]
    if not inspect.isclass(found):
        return [f".. autofunction:: {module}.{name}", ""]
    return [f".. autoclass:: {module}.{name}", f"   :members: {MEMBERS.get(module, '')}".rstrip(), ""]


def write_pages(app: Sphinx, config: Config) -> None:  # noqa: ARG001  (the signature of the event)
    """Write all pages, those that changed alone."""
    FOLDER.mkdir(exist_ok=True)
    for package in PAGES:
        path, text = FOLDER / f"{package}.md", page(package)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


_SAID: dict[str, list[str]] = {}
"""Docstrings of attributes as they stand in the code."""


def keep_attribute(app: Sphinx, kind: str, name: str, obj: object, options: object, lines: list[str]) -> None:  # noqa: ARG001, PLR0917
    """Note the docstring of an attribute, in which napoleon would take what stands before a colon for a type."""
    if kind in ("attribute", "data", "property"):
        _SAID[name] = list(lines)


def restore_attribute(app: Sphinx, kind: str, name: str, obj: object, options: object, lines: list[str]) -> None:  # noqa: ARG001, PLR0917
    """Give an attribute its own docstring back."""
    lines[:] = _SAID.pop(name, lines)


def short_signature(*event: Any) -> tuple[str, str | None] | None:
    """Return what stands after the name of what takes all parameters of a command, instead of their hundred lines."""
    signature, returned = event[-2:]
    return ("(**parameters)", returned) if signature and "Annotated[" in signature else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the writing of pages, before Sphinx looks which there are."""
    app.connect("config-inited", write_pages)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("autodoc-process-docstring", keep_attribute, priority=400)
    app.connect("autodoc-process-docstring", restore_attribute, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
