"""The page itself: one file that opens from disk and asks nothing of anybody."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
from markupsafe import Markup

import darts
from darts.maps.ground import graticule, land
from darts.maps.parts import ASSETS, as_text, part_text
from darts.maps.shapes import compact
from darts.pipelines.results.records import RunRecord
from darts.report.gather import Gathered, Tile
from darts.report.timeline import stage_rows, timeline_of
from darts.status.summary import RunStatus, reasons
from darts.utils.terminal import short_path
from darts_utils.text import counted

_OWN_ASSETS = Path(__file__).parent / "assets"
_MOST_NUMBERS = 350_000
"""Of the outlines of slumps: some 1.5 MB."""
_MOST_GROUND_NUMBERS = 100_000
_COARSEST_SLUMP_M = 20.0
_SHOWN_RUNS = 20
_SHOWN_REASONS = 50
_WORDS = {"success": "done", "skipped": "skipped", "failed": "failed"}


def page_of(found: Gathered, *, project: str | None = None, pictures: Mapping[str, str] | None = None) -> str:
    """Return the page as text.

    Args:
        found: What it tells.
        project: Name of the QGIS project beside it, None without one.
        pictures: Pictures by the path of their tile, where they are not to be read from there: data URIs.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=jinja2.FileSystemLoader(_OWN_ASSETS),
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    slumps = compact(list(found.layers.slumps.geometry), _MOST_NUMBERS, coarsest_m=_COARSEST_SLUMP_M)
    record = found.last_record()
    return environment.get_template("page.html.jinja").render(
        title=f"DARTS: {', '.join(short_path(folder) for folder in found.folders)}",
        words=_words(found),
        figures=_figures(found),
        failures=_failures(found),
        simplified=", to points" if any(len(rings[0]) == 2 for rings in slumps if rings) else "",
        project=project,
        stages=stage_rows(found.runs),
        runs=[_run(status) for status in found.statuses[-_SHOWN_RUNS:][::-1]],
        n_earlier=max(len(found.runs) - _SHOWN_RUNS, 0),
        models=[part.strip() for part in str(record.get("DARTS_models", "")).split(",") if part.strip()],
        calibrated=record.get("DARTS_calibrated") is True,
        software=list((record.get("DARTS_software") or {}).items()),
        device=(record.get("DARTS_device") or {}).get("device"),
        parameters=_parameters(found.runs),
        version=darts.__version__,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        data=Markup(as_text(_data(found, slumps, pictures))),
        **{name.replace(".", "_"): Markup(part_text(folder / name)) for folder, name in _PARTS},
    )


_PARTS = (
    (ASSETS, "leaflet.css"),
    (ASSETS, "leaflet.js"),
    (_OWN_ASSETS, "page.css"),
    (_OWN_ASSETS, "page.js"),
)


def _words(found: Gathered) -> str:
    days = sorted(day for day in found.layers.scenes["acquired"].dropna() if day)
    when = "" if not days else f", of images from {days[0]}" + (f" to {days[-1]}" if days[-1] != days[0] else "")
    return f"Slumps mapped in {counted(len(found.tiles), 'tile')}{when}."


def _figures(found: Gathered) -> list[dict[str, str]]:
    scenes, slumps = found.layers.scenes, found.layers.slumps
    values = {
        "tiles mapped": f"{len(scenes):,}",
        "failed": f"{len(found.failures):,}",
        "objects, each image by itself": f"{len(slumps):,}",
        "area of objects": f"{slumps['area_m2'].sum() / 1e4:,.1f} ha",
        "ground mapped, each image by itself": f"{scenes['observed_km2'].sum():,.1f} km²",
        "of it really seen": f"{scenes['clear_km2'].sum():,.1f} km²",
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _failures(found: Gathered) -> dict[str, Any] | None:
    if not found.failures:
        return None
    grouped = list(reasons(found.failures).items())
    return {
        "n_tiles": counted(len(found.failures), "tile"),
        "advice": "The same command tries them again, and leaves alone what is done. failed.txt in the results folder "
        "names them for --scene-id-file (PlanetScope: --image-id-file).",
        "reasons": [
            {"number": counted(len(ids), "tile"), "words": reason, "ids": ", ".join(ids)}
            for reason, ids in grouped[:_SHOWN_REASONS]
        ],
    }


def _run(status: RunStatus) -> dict[str, Any]:
    rate = status.tiles_per_minute
    return {
        "stem": status.stem, "host": status.host or "", "part": status.part or "all", "job": status.job or "",
        "state": "not told" if status.state == "unknown" else status.state, "n_done": status.n_done,
        "n_skipped": status.n_skipped, "n_failed": status.n_failed, "rate": "" if rate is None else f"{rate:.3g}",
    }  # fmt: skip


def _parameters(runs: Sequence[RunRecord]) -> str:
    return next((text for run in reversed(runs) if (text := run.config_text())), "not told")


def _data(found: Gathered, slumps: Sequence[Any], pictures: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what the script of the page reads; the order of a tile's values is that of its columns."""
    rows = found.layers.scenes.set_index("folder")
    grounds = dict(zip(rows.index, compact(list(rows.geometry), _MOST_GROUND_NUMBERS), strict=True))
    facts = rows.drop(columns="geometry").to_dict(orient="index")
    return {
        "tiles": [_tile_values(tile, facts.get(tile.path, {}), pictures) for tile in found.tiles],
        "grounds": [grounds.get(tile.path, []) for tile in found.tiles],
        "slumps": slumps,
        "land": land(),
        "graticule": graticule(),
        "timeline": timeline_of(found.runs),
    }


def _tile_values(tile: Tile, facts: Mapping[str, Any], pictures: Mapping[str, str] | None) -> list[Any]:
    area = _value(facts.get("area_m2"))
    thumbnail = _address(_value(facts.get("thumbnail"))) if pictures is None else pictures.get(tile.path)
    return [
        tile.end.tile_id, _value(facts.get("acquired")), _value(facts.get("sensor")),
        _WORDS.get(tile.end.status, tile.end.status), _value(facts.get("n_objects")),
        None if area is None else round(area / 1e4, 3), _value(facts.get("observed_km2")),
        _value(facts.get("clear_km2")), None if tile.end.seconds is None else round(tile.end.seconds, 2),
        tile.end.error, _address(tile.path) if facts and pictures is None else None, thumbnail,
    ]  # fmt: skip


def _address(path: str | None) -> str | None:
    """Return a path as a link: what stands for something else in addresses is written otherwise."""
    return path if path is None or path.startswith("file:") else quote(path)


def _value(value: Any) -> Any:
    """Return a value of a table for JSON: None for what is not there."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return round(value, 3) if isinstance(value, float) else value
