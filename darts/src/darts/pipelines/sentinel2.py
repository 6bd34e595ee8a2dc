"""The Sentinel-2 pipeline and its sources."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from cyclopts import Parameter

from darts.pipelines.base import Pipeline
from darts.pipelines.parameters import SceneSelection, Sentinel2Storage
from darts.pipelines.tiles import RunReport, Source, TileRef
from darts_utils.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Sentinel2Pipeline(Sentinel2Storage, SceneSelection, Pipeline):
    """Maps slumps in Sentinel-2 scenes.

    Scenes are selected by `scene_ids`, or `scene_id_file`, or what data preparation wrote to
    `prep_data_scene_id_file`.
    """

    resolution_m: ClassVar[int] = 10

    @property
    def pipeline_name(self) -> str:
        """Name of the pipeline, which is also the name of its results folder."""
        return f"sentinel2-{self.raw_data_source}"

    def resolved(self) -> Self:
        """Return a copy with every location and the list of models filled in."""
        store = (
            self.paths.sentinel2_raw_data(self.raw_data_source) if self.raw_data_store is None else self.raw_data_store
        )
        grid = self.paths.sentinel2_grid if self.sentinel2_grid_dir is None else self.sentinel2_grid_dir
        return replace(super().resolved(), raw_data_store=Path(store), sentinel2_grid_dir=Path(grid))

    def source(self) -> Source:
        """Return where the scenes come from.

        Raises:
            ConfigError: If it is not to be had without the network half.
        """
        if self.raw_data_source not in _SOURCES:
            raise ConfigError(
                f"raw_data_source is {self.raw_data_source!r}, which needs the network half of DARTS, not yet in this "
                f"release. Stage the scenes in the raw scene store and use {', '.join(_SOURCES)}."
            )
        return _SOURCES[self.raw_data_source](self)

    @staticmethod
    def cli(*, pipeline: Annotated["Sentinel2Pipeline | None", Parameter(name="*")] = None) -> RunReport:
        """Map slumps in Sentinel-2 scenes, one after the other.

        Results go to a folder a scene: probabilities, masks, polygons, extent, thumbnail.
        """
        return (Sentinel2Pipeline() if pipeline is None else pipeline).run()


run_sentinel2_sequential = Sentinel2Pipeline.cli
"""The command, under a name that can be imported when it is called."""


@dataclass(frozen=True)
class CdseSource:
    """Scenes of the Copernicus Data Space that are staged in the raw scene store."""

    pipeline: Sentinel2Pipeline
    resolution_m: ClassVar[int] = 10

    def find(self) -> list[TileRef]:
        """Return the selected scenes, each once, in the order given.

        Raises:
            ConfigError: If nothing is selected, a selector needs the network, or a file of ids cannot be read.
        """
        return [_tile_ref(scene_id) for scene_id in dict.fromkeys(self._selected_ids())]

    def _selected_ids(self) -> list[str]:
        selection = self.pipeline
        for name in ("tile_ids", "aoi_file"):
            if getattr(selection, name) is not None and selection.scene_ids is None and selection.scene_id_file is None:
                raise ConfigError(
                    f"{name} needs a search in the catalogue, which is in the network half of DARTS, not yet in this "
                    "release. Name the scenes with --scene-ids or --scene-id-file."
                )
        if selection.scene_ids is not None:
            return _checked(selection.scene_ids, "scene_ids")
        for name in ("scene_id_file", "prep_data_scene_id_file"):
            if getattr(selection, name) is not None:
                return read_scene_ids(getattr(selection, name), name)
        raise ConfigError("no scenes are selected. Name them with --scene-ids or --scene-id-file.")

    def load(self, ref: TileRef) -> "xr.Dataset":
        """Return the scene with reflectance, classification and quality mask."""
        from darts_acquisition import load_cdse_s2_sr_scene

        return load_cdse_s2_sr_scene(ref.tile_id, store=self.pipeline.raw_data_store, offline=self.pipeline.offline)

    def stage_command(self, ref: TileRef) -> str:
        """Return the shell command that fetches the auxiliary data of a scene."""
        return f"darts prep-data sentinel2 --aux --scene-ids {ref.tile_id}"


_SOURCES = {"cdse": CdseSource}


def _tile_ref(scene_id: str) -> TileRef:
    date = re.search(r"(?<!\d)(20\d{2})\d{4}(?!\d)", scene_id)
    return TileRef(tile_id=scene_id, output_folder=Path(scene_id), year=None if date is None else int(date[1]))


def read_scene_ids(path: Path, parameter: str) -> list[str]:
    """Return the ids in a file: a JSON list (or a JSON object with the ids as keys), or one id a line.

    Raises:
        ConfigError: If the file is missing or holds something else.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{parameter} {path} cannot be read ({error}). Give a text file with scene ids.") from error
    if text.lstrip().startswith(("[", "{")):
        try:
            return _checked(list(json.loads(text)), f"{parameter} {path}")
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"{parameter} {path} is not valid JSON ({error}). Give a JSON list, or one id a line."
            ) from error
    return _checked([line.strip() for line in text.splitlines() if line.strip()], f"{parameter} {path}")


def _checked(scene_ids: list[str], origin: str) -> list[str]:
    """Return the ids without the `.SAFE` of product folders, if each can be the name of a folder.

    Raises:
        ConfigError: If there is none, or one cannot be an id.
    """
    if not scene_ids:
        raise ConfigError(f"{origin} holds no scene id. Name at least one scene.")
    for scene_id in scene_ids:
        if not isinstance(scene_id, str) or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", scene_id) is None:
            raise ConfigError(f"{origin} holds {scene_id!r}, which is no scene id. Use letters, digits, '_', '-', '.'.")
    return [scene_id.removesuffix(".SAFE") for scene_id in scene_ids]
