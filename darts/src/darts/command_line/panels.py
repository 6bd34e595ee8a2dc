"""In which panel of the help a parameter stands, in the order of what one asks first."""

import inspect
from typing import Annotated, Any, ClassVar, get_origin

import cyclopts
from cyclopts import Parameter


def _panel(name: str, place: int) -> Parameter:
    return Parameter(group=cyclopts.Group(name, sort_key=place))


SELECT = _panel("Select", 1)
MODELS = _panel("Models", 2)
OUTPUT = _panel("Output", 3)
QUALITY = _panel("Quality", 4)
DATA = _panel("Data", 5)
DEVICE = _panel("Device", 6)
ADVANCED = _panel("Advanced", 7)


class InPanel:
    """Puts the parameters that a dataclass declares itself into a panel: `class Selection(InPanel, panel=SELECT)`.

    One that names another (`Annotated[int, ADVANCED]`) stands there.
    """

    def __init_subclass__(cls, *, panel: Parameter = ADVANCED, **given: Any) -> None:
        """Add the panel to the annotations, before the dataclass is made of them."""
        super().__init_subclass__(**given)
        own = inspect.get_annotations(cls)
        cls.__annotations__ = {name: _added(declared, panel) for name, declared in own.items()}


def _added(declared: Any, panel: Parameter) -> Any:
    """Return a declared type with a panel before whatever else is said of it, which counts more."""
    if get_origin(declared) is ClassVar or declared is ClassVar:
        return declared
    if get_origin(declared) is Annotated:
        return Annotated[declared.__origin__, panel, *declared.__metadata__]
    return Annotated[declared, panel]
