"""The page of the map, and all files that it reads."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import jinja2
from markupsafe import Markup

from darts.inventory.layers import read_part
from darts.maps.ground import graticule, land
from darts.maps.parts import ASSETS, as_text, part_text
from darts.publish.map.cells import YEAR_COLUMNS, cell_files
from darts.publish.map.places import CELL_M, places_of
from darts.publish.map.points import STATUSES, TIERS, VERDICTS, point_files
from darts.publish.map.scripts import FOLDER, write_script
from darts.publish.map.seen import look_files
from darts.publish.map.tiles import TILES
from darts_export.publish.changed import write_changed
from darts_postprocessing.exchange.qgis_style import TIER_COLOURS

PAGE = "index.html"
_OWN = Path(__file__).parent / "assets"
_STYLES = (ASSETS / "leaflet.css", _OWN / "map.css")
_LIBRARIES = (ASSETS / "leaflet.js", _OWN / "pmtiles.js", _OWN / "vector-tile.js")
_SCRIPTS = (
    *_LIBRARIES,
    *(_OWN / f"{name}.js" for name in ("polar", "store", "tiles", "draw", "panel", "search", "map")),
)


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the page says of the publication."""

    title: str
    about: str
    """A sentence or two."""
    attribution: Sequence[str]
    """Sources, and what their licences ask to be said."""
    links: Sequence[tuple[str, str]]
    """Words and addresses, such as of the factsheet: from the catalogue, or https."""


def write_map(
    catalogue: Path,
    inventory: Path,
    slumps: gpd.GeoDataFrame,
    words: Words,
    *,
    years: Sequence[int],
    pictures: Mapping[str, str],
) -> list[Path]:
    """Write `index.html` and `data/*.js`, remove other data files, and return them; equal ones are left alone.

    Args:
        catalogue: Folder of the publication.
        inventory: The inventory, of which tracks and looks are read.
        slumps: Level 2, with or without the columns of verdicts.
        words: What the page says.
        years: Those of the inventory, rising, also without slumps.
        pictures: Places of pictures in the catalogue, by slump.

    Raises:
        OutputError: If a file cannot be written.
    """
    places = places_of(slumps, read_part(inventory, "tracks"), years)
    points = point_files(places)
    files = [write_script(catalogue, name, values) for name, values in points.items()]
    files += [write_script(catalogue, name, values) for name, values in cell_files(places, pictures)]
    looks = read_part(inventory, "looks", ["year", "geometry"])
    seen = [(name, write_script(catalogue, name, values)) for name, values in look_files(looks)]
    files += [file for _, file in seen]
    index = {
        "years": places.years, "points": list(points), "looks": [name for name, _ in seen], "cell": CELL_M,
        "columns": YEAR_COLUMNS, "tiers": TIERS, "statuses": STATUSES, "verdicts": VERDICTS,
        "colours": [TIER_COLOURS[tier] for tier in TIERS], "land": land(), "graticule": graticule(),
        "tiles": TILES if (catalogue / TILES).is_file() else None,
    }  # fmt: skip
    page = catalogue / PAGE
    write_changed(page, _page(words, index).encode())
    for file in sorted((catalogue / FOLDER).glob("*.js")):
        if file not in files:
            file.unlink()
    return [page, *files]


def _page(words: Words, index: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=jinja2.FileSystemLoader(_OWN),
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    styles, scripts = [part_text(one) for one in _STYLES], [part_text(one) for one in _SCRIPTS]
    return environment.get_template("map.html.jinja").render(
        words=words,
        years=index["years"],
        data=Markup(as_text(index)),
        styles=[Markup(one) for one in styles],
        scripts=[Markup(one) for one in scripts],
        style_hashes=" ".join(map(_hash, styles)),
        script_hashes=" ".join(map(_hash, scripts)),
    )


def _hash(text: str) -> str:
    """Return how a policy names a style or script that may be in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
