"""What maps and training data share: locations, and a config that says it all."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from darts.pipelines.parameters import FeatureParameters
from darts.pipelines.tiles import MosaicResolution
from darts_utils.paths import DefaultPaths, PathManager

if TYPE_CHECKING:
    from darts.pipelines.tiles import Source


@dataclass(frozen=True, kw_only=True)
class FeatureRun(FeatureParameters):
    """Makes features of images, whatever for."""

    resolution_m: ClassVar[MosaicResolution]
    """Pixel size of the ArcticDEM mosaic that suits the images."""

    @property
    def paths(self) -> PathManager:
        """Default locations of this run."""
        return PathManager(self.default_dirs)

    def source(self) -> "Source":
        """Return where the images come from."""
        raise NotImplementedError

    def with_paths(self) -> Self:
        """Return a copy with every location filled in; doing it again changes nothing.

        Raises:
            ConfigError: If parameters of an auxiliary layer contradict each other.
        """
        from darts.pipelines.auxiliary import LAYERS

        cubes: dict[str, Any] = {
            layer.parameter: or_default(
                getattr(self, layer.parameter), layer.default_dir(self.paths, self.resolution_m)
            )
            for layer in LAYERS.values()
        }
        run = replace(self, **cubes)
        for layer in LAYERS.values():
            layer.check(run)
        return run

    def to_config(self) -> dict[str, Any]:
        """Return the parameters as a config file holds them; a run from it, wherever, gives the same results."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        directories = values.pop("default_dirs")
        given = {field.name: getattr(directories, field.name) for field in fields(directories)}
        return {"darts": {name: absolute(value) for name, value in {**values, **given}.items() if value is not None}}


def absolute(value: Any) -> Any:
    """Return a value with its paths absolute, so that it means the same in any working folder."""
    if isinstance(value, list):
        return [absolute(item) for item in value]
    if isinstance(value, DefaultPaths):
        return replace(value, **{field.name: absolute(getattr(value, field.name)) for field in fields(value)})
    return value.absolute() if isinstance(value, Path) else value


def or_default(given: Path | None, default: Path) -> Path:
    """Return a location that was given, else its default."""
    return default if given is None else Path(given)
