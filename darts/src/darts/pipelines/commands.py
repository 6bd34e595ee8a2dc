"""The short commands: `darts map` and `darts fetch`, which say what is done instead of how."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, fields, make_dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from darts.command_line.panels import DEVICE
from darts.pipelines.base import Pipeline
from darts.pipelines.fetch.downloader import FetchReport
from darts.pipelines.parameters import EndpointParameters, Parameters, RayParameters
from darts.pipelines.planet import PlanetPipeline
from darts.pipelines.ray.pipelines import PlanetRayPipeline, Sentinel2RayPipeline
from darts.pipelines.sentinel2 import Sentinel2Pipeline
from darts.pipelines.sources.parameters import PlanetSelection, SceneSelection, Sentinel2Storage
from darts.pipelines.tiles import RunReport
from darts_utils.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RaySwitch(Parameters, panel=DEVICE):
    """Which engine brings tiles through."""

    ray: bool = False
    """Map on a Ray cluster: that of ray_address, or one of all cores and GPUs of this machine."""


@dataclass(frozen=True, kw_only=True)
class Engine(RaySwitch, RayParameters):
    """What `darts map` takes besides what the commands take that it is short for."""


@dataclass(frozen=True, kw_only=True)
class MapSentinel2(Engine, Sentinel2Pipeline):
    """What `darts map sentinel2` takes."""


@dataclass(frozen=True, kw_only=True)
class MapPlanet(Engine, PlanetPipeline):
    """What `darts map planet` takes."""


def map_sentinel2(*, pipeline: Annotated[MapSentinel2 | None, Parameter(name="*")] = None) -> RunReport:
    """Map slumps in Sentinel-2 scenes.

    Results go to a folder a scene: probabilities, masks, polygons, extent, thumbnail.
    """
    given = MapSentinel2() if pipeline is None else pipeline
    return _as(Sentinel2RayPipeline if given.ray else Sentinel2Pipeline, given).run()


def map_planet(*, pipeline: Annotated[MapPlanet | None, Parameter(name="*")] = None) -> RunReport:
    """Map slumps in PlanetScope orthotiles and scenes.

    Results go to a folder an image: probabilities, masks, polygons, extent, thumbnail.
    """
    given = MapPlanet() if pipeline is None else pipeline
    return _as(PlanetRayPipeline if given.ray else PlanetPipeline, given).run()


def shown_only[P: Pipeline](kind: type[P], names: Collection[str]) -> type[P]:
    """Return a pipeline whose other parameters are taken, as config files hold them, but not shown in the help."""
    hidden = [
        (field.name, Annotated[field.type, Parameter(show=False)], field)
        for field in fields(kind)
        if field.name not in names
    ]
    made: type[P] = make_dataclass(kind.__name__, hidden, bases=(kind,), frozen=True, kw_only=True)
    return made


_READ_FOR_BOTH = (
    "default_dirs", "model_files", "export_bands", "uncertainty", "arcticdem_dir", "tcvis_dir", "tcvis_year",
    "tpi_outer_radius", "tpi_inner_radius", "ee_project", "ee_use_highvolume", "dry_run", "shard",
    *(field.name for field in fields(EndpointParameters)),
)  # fmt: skip
FetchesSentinel2 = shown_only(
    Sentinel2Pipeline,
    {*_READ_FOR_BOTH, "yes", *(field.name for kind in (SceneSelection, Sentinel2Storage) for field in fields(kind))},
)
FetchesPlanet = shown_only(PlanetPipeline, {*_READ_FOR_BOTH, *(field.name for field in fields(PlanetSelection))})
"""What the commands take that fetch for later runs: the parameters of a run, of which they read some."""


def fetch_sentinel2(
    *,
    pipeline: Annotated[FetchesSentinel2 | None, Parameter(name="*")] = None,  # type: ignore[valid-type]  # made above
    optical: bool = True,
    aux: bool = True,
    force: bool = False,
) -> FetchReport:
    """Fetch what a later run needs, so that it can be offline.

    Args:
        pipeline: The run to prepare for.
        optical: Fetch the scenes.
        aux: Fetch elevation and trends, if the models need them.
        force: Fetch everything, whatever the other flags say and the models need.

    Raises:
        ConfigError: If nothing is left to fetch.
    """
    if not (optical or aux or force):
        raise ConfigError("nothing is left to fetch. Leave out --no-optical or --no-aux.")
    return prepare_sentinel2(pipeline=pipeline, optical=optical, aux=aux, force=force)


def prepare_sentinel2(
    *,
    pipeline: Annotated[FetchesSentinel2 | None, Parameter(name="*")] = None,  # type: ignore[valid-type]  # made above
    optical: bool = False,
    aux: bool = False,
    force: bool = False,
) -> FetchReport:
    """Fetch what a later run needs, so that it can be offline.

    Args:
        pipeline: The run to prepare for.
        optical: Fetch the scenes.
        aux: Fetch elevation and trends, if the models need them.
        force: Fetch everything, whatever the other flags say and the models need.
    """
    return (Sentinel2Pipeline() if pipeline is None else pipeline).prepare_data(optical, aux, force)


def fetch_planet(
    *,
    pipeline: Annotated[FetchesPlanet | None, Parameter(name="*")] = None,  # type: ignore[valid-type]  # made above
    force: bool = False,
) -> FetchReport:
    """Fetch elevation and trends that a later run needs, so that it can be offline.

    Args:
        pipeline: The run to prepare for.
        force: Fetch them whatever the models need.
    """
    return prepare_planet(pipeline=pipeline, aux=True, force=force)


def prepare_planet(
    *,
    pipeline: Annotated[FetchesPlanet | None, Parameter(name="*")] = None,  # type: ignore[valid-type]  # made above
    aux: bool = False,
    force: bool = False,
) -> FetchReport:
    """Fetch what a later run needs, so that it can be offline; the images are on disk already.

    Args:
        pipeline: The run to prepare for.
        aux: Fetch elevation and trends, if the models need them.
        force: Fetch elevation and trends, whatever the models need.
    """
    return (PlanetPipeline() if pipeline is None else pipeline).prepare_data(aux=aux, force=force)


def _as[P: Pipeline](kind: type[P], given: Engine) -> P:
    """Return the pipeline of a kind with what was given; what only Ray reads is named if nothing does."""
    names = {field.name for field in fields(given)}
    values: dict[str, Any] = {field.name: getattr(given, field.name) for field in fields(kind) if field.name in names}
    idle = [field.name for field in fields(RayParameters) if getattr(given, field.name) != field.default]
    if not given.ray and idle:
        logger.warning("%s: only read with --ray, which is not given", ", ".join(idle))
    return kind(**values)
