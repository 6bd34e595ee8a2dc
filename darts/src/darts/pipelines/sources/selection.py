"""Selecting Sentinel-2 scenes: ids as people give them, and references to scenes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from darts.pipelines.sources.parameters import SceneParameters
from darts.pipelines.tiles import TileRef
from darts.utils import terminal
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file
from darts_utils.machine.disk import reason_of
from darts_utils.names import check_name, is_id, shown, year_in
from darts_utils.rasters.window import Window
from darts_utils.text import read_text


def confirm_unbounded(parameters: SceneParameters) -> None:
    """Ask before a search through all years.

    Raises:
        ConfigError: If the user says no, or cannot be asked.
    """
    if parameters.is_bounded_in_time or parameters.yes:
        return
    if not terminal.confirm("No dates, months or years are given: search through all years?"):
        raise ConfigError(
            f"{parameters.selector} is given without dates, months or years, so all years would be searched and "
            "fetched. Give --start-date and --end-date, or --years and --months, or confirm with --yes."
        )


def tile_ref(scene_id: str) -> TileRef:
    """Return the reference to a scene; its year is that of the first date, or quarter, in the id.

    Raises:
        DataError: If the id cannot be the name of a folder.
    """
    check_name(scene_id, "a scene")
    return TileRef(tile_id=scene_id, output_folder=Path(scene_id), year=year_in(scene_id))


def in_window(ref: TileRef, window: Window | None) -> TileRef:
    """Return the reference to a part of a scene, whose results have a folder of their own; without one, to all."""
    if window is None:
        return ref
    return replace(ref, window=window, output_folder=Path(f"{ref.tile_id}_{window.name}"))


def read_scene_ids(path: Path | None, parameter: str) -> list[str]:
    """Return the ids in a file: a JSON list or object (keys), a saved search (GeoJSON, STAC items), or one id a line.

    The file may begin with a byte order mark, and be in UTF-16, as some shells write it.

    Raises:
        ConfigError: If the file is missing or holds something else.
    """
    try:
        text = read_text(Path(path or ""))
    except (OSError, UnicodeDecodeError) as error:
        reason = reason_of(error)
        raise ConfigError(f"{parameter} {path} cannot be read ({reason}). Give a text file with scene ids.") from error
    if text.lstrip().startswith(("[", "{")):
        try:
            return checked_ids(_ids_of(json.loads(text)), f"{parameter} {path}")
        except (json.JSONDecodeError, RecursionError) as error:
            raise ConfigError(
                f"{parameter} {path} is not valid JSON ({error}). Give a JSON list, or one id a line."
            ) from error
    return checked_ids([line.strip() for line in text.splitlines() if line.strip()], f"{parameter} {path}")


def _ids_of(content: Any) -> list[Any]:
    """Return what JSON names as ids: those of features where it is the answer of a search, else keys or entries."""
    if isinstance(content, dict) and content.get("type") == "Feature":
        return [content.get("id")]
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features")
        if not isinstance(content, list):
            return []
    return [item.get("id") if isinstance(item, dict) else item for item in content]


def write_scene_ids(path: Path, scene_ids: Sequence[str]) -> None:
    """Write ids as a JSON list, which `read_scene_ids` reads.

    Raises:
        OutputError: If the file cannot be written.
    """
    with atomic_file(Path(path)) as part:
        part.write_text(json.dumps(list(scene_ids), indent=1) + "\n", encoding="utf-8")


def checked_ids(scene_ids: Sequence[str], origin: str) -> list[str]:
    """Return the ids without the `.SAFE` of product folders, if each can be the name of a folder.

    Raises:
        ConfigError: If there is none, or one cannot be an id.
    """
    if isinstance(scene_ids, str):
        raise ConfigError(f"{origin} is {shown(scene_ids)} but must be a list of ids. Write [...] around it.")
    if not scene_ids:
        raise ConfigError(f"{origin} holds no scene id. Name at least one scene.")
    for scene_id in scene_ids:
        if not is_id(scene_id):
            raise ConfigError(
                f"{origin} holds {shown(scene_id)}, which is no scene id. Use letters, digits, '_', '-', '.'."
            )
    return [scene_id.removesuffix(".SAFE") for scene_id in scene_ids]
