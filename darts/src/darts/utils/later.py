"""Public names of a package that are imported when they are asked for, because they would make every start dearer."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def imported_later(package: str, where: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module whose names live in other modules.

    Args:
        package: Name of the module.
        where: For each name the module that has it.
    """

    def get(name: str) -> Any:
        if name in where:
            return getattr(importlib.import_module(where[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
