"""What maps and training data share: locations, addresses, access to services, a config that says it all."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from darts.pipelines.auxiliary import LAYERS, layers_of
from darts.pipelines.parameters import EndpointParameters, FeatureParameters
from darts.pipelines.tiles import MosaicResolution, Source, TileRef
from darts_utils.paths import DefaultPaths, PathManager

if TYPE_CHECKING:
    from darts.pipelines.plan import Plan


@dataclass(frozen=True, kw_only=True)
class FeatureRun(FeatureParameters):
    """Makes features of images, whatever for."""

    resolution_m: ClassVar[MosaicResolution]
    """Pixel size of the ArcticDEM mosaic that suits the images."""

    @property
    def paths(self) -> PathManager:
        """Default locations of this run."""
        return PathManager(self.default_dirs)

    def source(self) -> Source:
        """Return where the images come from."""
        raise NotImplementedError

    def located(self) -> Self:
        """Return a copy with every location filled in; locating it again changes nothing."""
        cubes: dict[str, Any] = {
            layer.parameter: or_default(
                getattr(self, layer.parameter), layer.default_dir(self.paths, self.resolution_m)
            )
            for layer in LAYERS.values()
        }
        return replace(self, **cubes)

    def use_endpoints(self) -> None:
        """Ask the services at the addresses that were given; offline, nothing asks any."""
        from darts_acquisition.services.endpoints import set_endpoints
        from darts_acquisition.services.network import set_offline

        set_offline(self.offline)
        set_endpoints(**{field.name: getattr(self, field.name) for field in fields(EndpointParameters)})

    def addressed(self) -> Self:
        """Return a copy with the addresses that this process asks, for processes with another environment."""
        from darts_acquisition.services.endpoints import endpoint

        addresses: dict[str, Any] = {field.name: endpoint(field.name) for field in fields(EndpointParameters)}
        return replace(self, **addresses)

    def plan_and_connect(
        self, source: Source, todo: Sequence[TileRef], features: Collection[str], *, n_done: int
    ) -> "Plan | None":
        """Show what will be fetched for features of tiles, and check that it can be; offline nothing will.

        Returns:
            What will be fetched, None if there is nothing to do or the run is offline.

        Raises:
            CredentialsError: If keys are missing or refused.
        """
        from darts.pipelines.plan import make_plan
        from darts.utils.plan_view import show_plan

        if self.offline or not todo:
            return None
        plan = make_plan(self, source, todo, layers=layers_of(features), n_done=n_done, loads=True)
        show_plan(plan)
        self.connect(source, plan)
        return plan

    def connect(self, source: Source, plan: "Plan") -> None:
        """Check the access to the services that a plan needs, and only to those.

        Raises:
            CredentialsError: If keys are missing or refused.
        """
        if plan.images:
            source.connect()
        for name, n_chunks in plan.chunks.items():
            if n_chunks:
                LAYERS[name].connect(self)

    def to_config(self) -> dict[str, Any]:
        """Return the parameters as a config file holds them; a run from it, wherever, gives the same results."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        directories = values.pop("default_dirs")
        given = {field.name: getattr(directories, field.name) for field in fields(directories)}
        return {"darts": {name: anywhere(value) for name, value in {**values, **given}.items() if value is not None}}


def anywhere(value: Any) -> Any:
    """Return a value with its paths absolute, so that it means the same in any working folder."""
    if isinstance(value, list):
        return [anywhere(item) for item in value]
    if isinstance(value, DefaultPaths):
        return replace(value, **{field.name: anywhere(getattr(value, field.name)) for field in fields(value)})
    return value.absolute() if isinstance(value, Path) else value


def or_default(given: Path | None, default: Path) -> Path:
    """Return a location that was given, else its default."""
    return default if given is None else Path(given)
