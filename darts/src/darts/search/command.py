"""`darts search`: which scenes there are, with dates, cover and sizes; nothing is fetched, and no model is needed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from darts.command_line.panels import OUTPUT
from darts.pipelines.parameters import CatalogEndpoints, EarthEngineParameters
from darts.pipelines.sources.parameters import CatalogParameters, SceneParameters, SceneSearch
from darts.utils.console import show_rows
from darts.utils.terminal import say, short_path
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file
from darts_utils.machine.outputs import check_file
from darts_utils.paths import user_path
from darts_utils.text import counted

if TYPE_CHECKING:
    from darts.search.found import Found

_BY_ID = ("scene_ids", "scene_id_file")
_SUFFIXES = (".geojson", ".json", ".txt")


@dataclass(frozen=True, kw_only=True)
class SearchParameters(CatalogParameters, SceneSearch, CatalogEndpoints, EarthEngineParameters):
    """What a search for Sentinel-2 scenes is given."""


def search_sentinel2(
    *,
    given: Annotated[SearchParameters | None, Parameter(name="*")] = None,
    out: Annotated[Path | None, OUTPUT] = None,
    picture: Annotated[Path | None, OUTPUT] = None,
    as_json: Annotated[bool, OUTPUT, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show which Sentinel-2 scenes there are: dates, cloud, snow, sizes; nothing is fetched, no model is needed.

    Args:
        given: What is searched for.
        out: File for the answer, which --scene-id-file takes: GeoJSON (.geojson, .json), or ids alone (.txt).
        picture: PNG of where the scenes lie.
        as_json: Print the answer as GeoJSON, and nothing else.

    Raises:
        ConfigError: If what is searched for, or a file, is wrong.
    """
    wanted = SearchParameters() if given is None else given
    wanted.check_search()
    out, picture = (None if file is None else user_path(file) for file in (out, picture))
    _check_names(out, picture)
    from darts.pipelines.fetch.connect import ask_at_given_addresses
    from darts.search.found import search

    names = [field.name for field in fields(wanted)]
    parameters = SceneParameters(**{name: getattr(wanted, name) for name in names if name in _known()}, yes=True)
    ask_at_given_addresses(wanted, offline=False)
    found = search(parameters)
    if as_json:
        say(_geojson(found))
    else:
        _show(found, wanted)
    for file in _written(found, out, picture):
        if not as_json:
            say(f"Written: {short_path(file)}")


def _known() -> set[str]:
    return {field.name for field in fields(SceneParameters)}


def _check_names(out: Path | None, picture: Path | None) -> None:
    """Refuse files of kinds that are not written, or that cannot be, before anybody is asked.

    Raises:
        ConfigError: If one is of another kind.
        OutputError: If one cannot be written.
    """
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"out is {out}, but must end with {', '.join(_SUFFIXES)}. Rename it.")
    if picture is not None and picture.suffix.lower() != ".png":
        raise ConfigError(f"picture is {picture}, but must end with .png. Rename it.")
    for file in (out, picture):
        if file is not None:
            check_file(file)


def _geojson(found: "Found") -> str:
    from darts.search.found import features

    return json.dumps({"type": "FeatureCollection", "features": list(features(found))}, ensure_ascii=False)


def _written(found: "Found", out: Path | None, picture: Path | None) -> Iterator[Path]:
    """Write what is asked for; yield each file."""
    if out is not None:
        ids = "".join(f"{scene.scene_id}\n" for scene in found.scenes)
        with atomic_file(out) as part:
            part.write_text(ids if out.suffix.lower() == ".txt" else _geojson(found) + "\n", encoding="utf-8")
        yield out
    if picture is not None:
        from darts.search.picture import draw

        draw(found, picture)
        yield picture


def _show(found: "Found", wanted: SearchParameters) -> None:
    from darts.pipelines.fetch.view import size

    say(f"{found.label}: {_asked(wanted)}")
    rows = [
        (
            scene.scene_id, (scene.acquired or "unknown")[:16].replace("T", " "), _percent(scene.cloud_percent),
            _percent(scene.snow_percent), size(scene.n_bytes),
        )
        for scene in found.scenes
    ]  # fmt: skip
    if rows:
        show_rows("Scenes", ("scene", "acquired (UTC)", "cloud", "snow", "to fetch"), rows)
    for line in _summary(found, size(found.n_bytes), by_id=wanted.selector in _BY_ID):
        say(line)


def _summary(found: "Found", sized: str, *, by_id: bool) -> Iterator[str]:
    none = (
        "none of them is in the catalogue. Check the ids." if by_id else "no scene. Widen dates, cloud or snow cover."
    )
    days = found.days
    number = counted(len(found.scenes), "scene")
    when = "" if not days else f" of {len(days)} days, {days[0]} to {days[-1]}" if len(days) > 1 else f" of {days[0]}"
    yield f"{number}{when}; all of them are {sized}" if found.scenes else none
    share = found.covered_share()
    if share is not None:
        yield f"of the area of interest {100 * share:.3g} % lie in at least one of them"


def _asked(wanted: SearchParameters) -> str:
    """Return what was searched for in words; open ends are said."""
    where: Any = {
        "tile_ids": f"tiles {', '.join(wanted.tile_ids or ())}", "aoi_file": f"area {wanted.aoi_file}",
        "scene_ids": "scenes by id", "scene_id_file": f"scenes of {wanted.scene_id_file}",
    }.get(wanted.selector or "", "nothing")  # fmt: skip
    if wanted.selector is None or wanted.selector in _BY_ID:
        return str(where)
    covers = {"cloud": wanted.max_cloud_cover, "snow": wanted.max_snow_cover}
    limits = [f"{what} at most {limit} %" for what, limit in covers.items() if limit not in (None, 100)]
    if wanted.quarters is not None:  # of mosaics no cover is known
        limits = []
    return ", ".join([where, _when(wanted), *limits])


def _when(wanted: SearchParameters) -> str:
    if wanted.start_date is not None or wanted.end_date is not None:
        return f"{wanted.start_date or 'from the first image'} to {wanted.end_date or 'today'}"
    if not wanted.is_bounded_in_time:
        return "all years"
    part = _numbers("months", wanted.months) if wanted.quarters is None else _numbers("quarters", wanted.quarters)
    return f"{part} of {_numbers('years', wanted.years)}"


def _numbers(what: str, given: list[int] | None) -> str:
    return f"all {what}" if given is None else f"{what} {', '.join(map(str, sorted(set(given))))}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} %"
