"""Base folders as parameters of their own, for classes that keep them in `default_dirs`."""

import inspect
from dataclasses import fields, replace
from typing import Any

from darts_utils.paths import DefaultPaths

_BASE_FOLDERS = frozenset(field.name for field in fields(DefaultPaths))


class TakesBaseFolders(type):
    """Lets base folders be given one by one, as on the command line: `PlanetPipeline(fast_dir="/data")`."""

    def __call__(cls, *args: Any, **given: Any) -> Any:
        """Return a new object, with the base folders among its keyword arguments put into `default_dirs`."""
        folders = {name: given.pop(name) for name in _BASE_FOLDERS & given.keys()}
        if folders:
            given["default_dirs"] = replace(given.get("default_dirs") or DefaultPaths(), **folders)
        return super().__call__(*args, **given)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The parameters of a class, for help and completion: those that it declares."""
        whole = inspect.signature(vars(cls)["__init__"])
        return whole.replace(parameters=list(whole.parameters.values())[1:])
