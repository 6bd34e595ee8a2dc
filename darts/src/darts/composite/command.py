"""`darts composite`: one cloud-free scene of all the scenes of a summer."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from darts.command_line.panels import DATA, DEVICE, OUTPUT
from darts.pipelines.parameters import AuxiliaryParameters, EarthEngineParameters, EndpointParameters, RunParameters
from darts.pipelines.sources.parameters import SceneSelection, Sentinel2Storage


@dataclass(frozen=True, kw_only=True)
class CompositeParameters(
    Sentinel2Storage, SceneSelection, RunParameters, EndpointParameters, EarthEngineParameters, AuxiliaryParameters
):
    """Which scenes composites are made of."""


def composite_sentinel2(
    *,
    scenes: Annotated[CompositeParameters | None, Parameter(name="*")] = None,
    method: Annotated[Literal["median", "medoid", "max-ndvi"], OUTPUT] = "median",
    composite_store: Annotated[Path | None, DATA] = None,
    composite_id_file: Annotated[Path | None, OUTPUT] = None,
    overwrite: Annotated[bool, OUTPUT] = False,
    ray_address: Annotated[str | None, DEVICE] = None,
) -> int:
    """Make a cloud-free composite of the scenes of each tile and year, which is mapped like a scene.

    Map it with --raw-data-source composite --scene-ids ID. Only pixels of high quality count.

    Args:
        scenes: Which scenes they are made of; those that are not staged are fetched.
        method: median of each band, medoid (the look nearest to all others), or max-ndvi (the greenest look).
        composite_store: Folder for composites, `{input}/sentinel2/composite-scenes` if not given.
        composite_id_file: File for the ids of the composites, which --scene-id-file takes.
        overwrite: Make composites again that are there.
        ray_address: Ray cluster whose machines all see the folders, auto or HOST:PORT; this machine if not given.

    Returns:
        The exit status: 0 done, 1 if a scene failed or was left out, a composite of other scenes is there, or nothing
        was made.

    Raises:
        ConfigError: If no scenes are selected, or they cannot be searched for.
    """
    from darts.composite.working import Wanted, make_composites
    from darts.pipelines.sentinel2 import Sentinel2Pipeline
    from darts_utils.paths import PathManager, user_path

    given = CompositeParameters() if scenes is None else scenes
    pipeline = Sentinel2Pipeline(**{field.name: getattr(given, field.name) for field in fields(given)})
    store = composite_store or PathManager(given.default_dirs).sentinel2_raw_data("composite")
    ids = None if composite_id_file is None else user_path(composite_id_file)
    wanted = Wanted(method=method, store=user_path(store), ids=ids, overwrite=overwrite, ray_address=ray_address)
    return make_composites(pipeline, wanted)
