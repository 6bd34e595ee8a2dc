"""What people read of a publication: README and factsheet."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import pyarrow.parquet as pq
from markupsafe import Markup

from darts.publish.about import UNKNOWN
from darts.publish.dictionary import TABLES
from darts.publish.facts import Published
from darts.publish.figures import TIERS, Figures
from darts_export.publish.changed import write_changed
from darts_postprocessing.inventory.said import INVENTORY
from darts_postprocessing.review.verdicts import FOLDER
from darts_utils.text import counted

README, FACTSHEET = "README.md", "factsheet.html"
_ASSETS = Path(__file__).parent / "assets"
_SHOWN_SCORES = ("precision", "recall", "f1")
_NOT_NAMED = frozenset({"geometry", "bbox"})


def write_texts(what: Published, figures: Figures) -> None:
    """Write README and factsheet of a publication."""
    shared = {
        "about": what.about,
        "credit": what.credit,
        "citation": citation(what),
        "n_images": len(what.said.counted.images),
        "figures": figures,
        "counted": counted,
    }
    readme = _template("README.md.jinja", is_markup=False).render(
        **shared,
        years=what.years,
        reviewed=(what.catalogue / INVENTORY / FOLDER).is_dir(),
        mosaics=what.mosaics[0].crs if what.mosaics else "",
        models=bool(what.copied),
        model_list=what.models,
        thresholds=_thresholds(what),
        software=version("darts-nextgen"),
        rules=", ".join(f"{name} {value}" for name, value in vars(what.said.rules).items() if value not in (None, ())),
        tables=_tables(what.catalogue),
        reviews=figures.reviews,
        earlier=figures.earlier,
    )
    write_changed(what.catalogue / README, readme.encode())
    write_changed(what.catalogue / FACTSHEET, _factsheet(what, figures, shared).encode())


def _factsheet(what: Published, figures: Figures, shared: Mapping[str, Any]) -> str:
    scores = [] if figures.scores is None else figures.scores.get("scores", [])
    return _template("factsheet.html.jinja", is_markup=True).render(
        **shared,
        css=Markup((_ASSETS / "factsheet.css").read_text(encoding="utf-8")),
        people=what.about.authors,
        last=figures.by_year[-1],
        tiers=[tier for tier in TIERS if any(row[f"n_{tier}"] for row in figures.by_year)],
        widest_year=max(row["km2"] for row in figures.by_year),
        most_of_size=max(row["n"] for row in figures.by_size),
        most_of_latitude=max((row["n"] for row in figures.by_latitude), default=1),
        scores=[row for row in scores if row["score"] in _SHOWN_SCORES and row["value"] is not None],
        number=_number,
        whole=_whole,
        between=_between,
        share=_share,
    )


def citation(what: Published) -> str:
    """Return how the publication is cited."""
    about = what.about
    address = f" https://doi.org/{about.doi}" if about.doi else ""
    publisher = "" if about.publisher == UNKNOWN else f" {about.publisher}."
    return f"{about.authors} ({about.moment.year}): {about.title}, version {about.version}.{publisher}{address}"


def _thresholds(what: Published) -> str:
    """Return the thresholds of tiers that tiles tell, in words."""
    told = {tuple(sorted(tile.facts.thresholds.items())) for tile in what.tiles if tile.facts.thresholds}
    texts = [", ".join(f"{tier} from {_number(value, 3)}" for tier, value in one) for one in sorted(told, key=str)]
    if not texts:
        return "not known, so that no slump has one"
    same = any(len({value for _, value in one}) == 1 for one in told)
    return " or ".join(texts) + ("; where they are equal, tiers tell nothing" if same else "")


def _tables(catalogue: Path) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return the columns of the tables that are there, each with unit and meaning."""
    found = []
    for table, columns in TABLES.items():
        files = sorted((catalogue / INVENTORY / table).rglob("*.parquet"))
        if files:
            names = [name for name in pq.read_schema(files[0]).names if name not in _NOT_NAMED]
            found.append((table, [(name, *columns[name]) for name in names]))
    return found


def _number(value: float | None, digits: int) -> str:
    return "not known" if value is None else f"{value:,.{digits}f}"


def _whole(value: float) -> str:
    return f"{round(value):,}"  # an integer has no minus zero


def _between(low: float | None, high: float | None) -> str:
    """Return an interval; nothing where it is not known."""
    return "" if low is None or high is None else f"{_number(low, 2)} to {_number(high, 2)}"


def _share(value: float, most: float) -> str:
    return f"{100 * value / most:.1f}" if most else "0"


@cache
def _template(name: str, *, is_markup: bool) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=is_markup,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=jinja2.FileSystemLoader(_ASSETS),
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(name)
