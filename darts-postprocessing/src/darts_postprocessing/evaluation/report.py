"""Scores as text, as JSON and as a page with maps."""

import json
import math
from collections.abc import Mapping
from html import escape
from importlib.metadata import version
from string import Template
from typing import Any

import numpy as np
import pandas as pd
import shapely

from darts_postprocessing.evaluation.bootstrap import FEWEST_PLACES, REPEATS
from darts_postprocessing.evaluation.layers import BLOCK_M
from darts_postprocessing.evaluation.maps import COLOURS, Frame, closer, frame_of, map_svg
from darts_postprocessing.evaluation.scores import MATCHED_AT, Evaluation
from darts_postprocessing.inventory.plane import to_degrees
from darts_utils.rasters.arrays import Array
from darts_utils.text import counted

MOST_MAPS = 12
"""Places with the most errors that the page maps."""
_OVERVIEW_PX = (1120, 520)
_MAP_PX = (548, 390)
_MAP_M = 5000.0
"""Wider maps show no outlines any more, only dots."""
_DASH = f"-: nothing to reckon it from; counts have no interval, nor has anything of fewer than {FEWEST_PLACES} places"
_COUNTS = ("tp", "fp", "fn", "split", "merged")
_OF_GROUPS = ("tp", "fp", "fn", "precision", "recall", "f1")
_HEAD = ("score", "IoU", "value", "95 % interval")
_SHOWN = {"precision": "precision", "recall": "recall", "f1": "F1"}
_TITLES = {"tp": "hits", "fp": "false", "fn": "missed", "f1": "F1"}


def score_lines(evaluation: Evaluation) -> list[str]:
    """Return the scores as lines of text: all those of everything, then objects at IoU 0.3 by group.

    A value that is undefined, or an interval that is not told, is a dash, which the last line then explains.
    """
    scores = evaluation.scores
    lines = [_made_of(evaluation), "", *_aligned(_rows_of_all(scores)), "", *_aligned(_rows_of_groups(scores))]
    return [*lines, "", _DASH] if any(word == "-" for line in lines for word in line.split()) else lines


def scores_json(evaluation: Evaluation, about: Mapping[str, Any] | None = None) -> str:
    """Return the scores as JSON.

    Args:
        evaluation: The scores.
        about: What else is to stand in it, such as which layers were compared.

    Returns:
        `{n_predictions, n_references, places, n_places, repeats, darts_version, scores}`: intervals are by resampling
        the places so often; a score is `{group, score, iou, value, low, high}`, null for NaN.
    """
    rows = [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
        for row in evaluation.scores.to_dict(orient="records")
    ]
    made_of = {
        "n_predictions": len(evaluation.predictions),
        "n_references": len(evaluation.references),
        "places": evaluation.places,
        "n_places": evaluation.n_places,
        "repeats": REPEATS,
        "darts_version": version("darts-postprocessing"),
    }
    return json.dumps({**(about or {}), **made_of, "scores": rows}, indent=1, allow_nan=False) + "\n"


def page(evaluation: Evaluation, title: str = "Evaluation") -> str:
    """Return an HTML page with maps and scores that needs no other file and no network.

    Args:
        evaluation: What to show.
        title: Its headline.

    Returns:
        The page: an overview, maps of the regions or blocks with the most missed and false objects, and tables.
    """
    return _PAGE.substitute(
        title=escape(title),
        summary=_summary(evaluation),
        legend=_legend(),
        overview=_overview(evaluation),
        worst=_worst_maps(evaluation),
        places=_places(evaluation),
        scores=_html_table(_rows_of_all(evaluation.scores)),
        groups=_html_table(_rows_of_groups(evaluation.scores)),
    )


def _rows_of_groups(scores: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return a head, and the object scores of each group at IoU 0.3, in the order of the groups."""
    at = scores[scores["iou"] == MATCHED_AT]
    head = ("group at IoU 0.3", *(_TITLES.get(score, score) for score in _OF_GROUPS))
    return [
        head,
        *(
            (str(group), *(_group_cell(rows[rows["score"] == score], score) for score in _OF_GROUPS))
            for group, rows in at.groupby("group", sort=False)
        ),
    ]


def _group_cell(rows: pd.DataFrame, score: str) -> str:
    return _number(score, float(rows["value"].iloc[0])) if len(rows) else ""


def _rows_of_all(scores: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return a head, and the scores of everything with their intervals."""
    rows = scores[scores["group"] == "all"]
    columns = zip(*(rows[name] for name in ("score", "iou", "value", "low", "high")), strict=True)
    return [
        _HEAD,
        *(
            (score, _iou(iou), _number(score, value), _interval(score, low, high))
            for score, iou, value, low, high in columns
        ),
    ]


def _interval(score: str, low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{_number(score, low)} to {_number(score, high)}"


def _number(score: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    if score in _COUNTS or score.endswith("_m2"):
        return f"{value:.0f}"
    return f"{value:.1f}" if score.endswith("_m") else f"{value:.3f}"


def _iou(iou: float) -> str:
    return "" if math.isnan(iou) else f"{iou:g}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as lines whose columns stand below each other: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip() for row, cells in zip(rows, padded, strict=True)]


def _html_table(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = "\n".join(_html_row(row, "td") for row in body)
    return f"<table><thead>{_html_row(head, 'th')}</thead><tbody>\n{lines}\n</tbody></table>"


def _html_row(row: tuple[str, ...], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"


def _places(evaluation: Evaluation) -> str:
    return "regions" if evaluation.places == "region" else "blocks of 10 km by 10 km"


def _made_of(evaluation: Evaluation) -> str:
    """Return what scores and intervals are made of, in words."""
    is_named = evaluation.places == "region"
    places = f"{counted(evaluation.n_places, evaluation.places)}{'' if is_named else ' of 10 km by 10 km'}"
    return (
        f"{len(evaluation.predictions)} predicted and {len(evaluation.references)} reference slumps; 95 % intervals by "
        f"resampling {places} with slumps, {REPEATS} times"
    )


def _summary(evaluation: Evaluation) -> str:
    scores = evaluation.scores
    at = scores[(scores["group"] == "all") & (scores["iou"] == MATCHED_AT)].set_index("score")["value"]
    shown = (f"{name} <b>{_number(score, float(at[score]))}</b>" for score, name in _SHOWN.items())
    return f"{_made_of(evaluation)}. At IoU {MATCHED_AT:g}: {', '.join(shown)}."


def _legend() -> str:
    names = {"hit": "hit (as predicted; its reference is a dark line)", "missed": "missed", "false": "false"}
    return "".join(f'<span><i style="background:{COLOURS[key]}"></i>{name}</span>' for key, name in names.items())


def _all_shapes(evaluation: Evaluation) -> Array:
    tables = [evaluation.predictions, evaluation.references, evaluation.searched]
    shapes: Array = np.concatenate([table.geometry.to_numpy() for table in tables if table is not None])
    return shapes


def _overview(evaluation: Evaluation) -> str:
    shapes = _all_shapes(evaluation)
    if not len(shapes):
        return "<p>There is nothing to map.</p>"
    return map_svg(evaluation, frame_of(shapes, *_OVERVIEW_PX), "Overview of hits, missed and false objects")


def _worst_maps(evaluation: Evaluation) -> str:
    """Return maps of the places with the most errors, each with its numbers."""
    objects = _objects_of_places(evaluation)
    if not len(objects):
        return "<p>There are no missed and no false objects.</p>"
    figures = []
    for place, counts in _worst(objects).iterrows():
        here = objects[objects["place"] == place]
        wrong = here.loc[here["outcome"].isin(["missed", "false"]), "geometry"].to_numpy()
        frame = closer(frame_of(here["geometry"].to_numpy(), *_MAP_PX), wrong, _MAP_M)
        drawn = map_svg(evaluation, frame, f"Map of {place}")
        words = _caption(evaluation, str(place), counts, frame)
        figures.append(f"<figure>{drawn}<figcaption>{words}</figcaption></figure>")
    return "\n".join(figures) or "<p>There are no missed and no false objects.</p>"


def _objects_of_places(evaluation: Evaluation) -> pd.DataFrame:
    """Return place, outcome and outline of all objects, predictions and references below each other."""
    # a hit counts where its reference lies, as in the scores
    tables = ((evaluation.predictions, "predicted"), (evaluation.references, "hit"))
    parts = [
        pd.DataFrame(
            {
                "place": table[evaluation.places].astype(str).to_numpy(),
                "outcome": table["outcome"].replace("hit", hit).to_numpy(),
                "geometry": table.geometry.to_numpy(),
            }
        )
        for table, hit in tables
    ]
    return pd.concat(parts)


def _worst(objects: pd.DataFrame) -> pd.DataFrame:
    """Return the counts of the places with the most errors, the worst first; of equal ones by their names."""
    counts = pd.crosstab(objects["place"], objects["outcome"])
    counts = counts.reindex(columns=["hit", "missed", "false"], fill_value=0).sort_index()
    errors = counts["missed"] + counts["false"]
    order = np.argsort(-errors.to_numpy(), kind="stable")
    return counts.iloc[order[errors.to_numpy()[order] > 0][:MOST_MAPS]]


def _caption(evaluation: Evaluation, place: str, counts: pd.Series, frame: Frame) -> str:
    """Return the numbers of a whole place, and where the map is, which shows the worst part of it."""
    whole = escape(place) if evaluation.places == "region" else f"Block around {_in_degrees(_middle_of(place), 2)}"
    numbers = f"{counts['hit']} hits, {counts['missed']} missed, {counts['false']} false"
    return f"<b>{whole}</b>: {numbers}<br>The map is around {_in_degrees(frame.centre, 3)}"


def _middle_of(block: str) -> Array:
    """Return the middle of a block, x and y in the plane."""
    middle: Array = np.array(block.split(), dtype=np.float64) * 1000 + BLOCK_M / 2
    return middle


def _in_degrees(point: Array, digits: int) -> str:
    """Return a point of the plane as people write it, such as `68.02 N, 134.98 W`."""
    (moved,) = to_degrees([shapely.Point(point)])
    return f"{moved.y:.{digits}f} N, {abs(moved.x):.{digits}f} {'E' if moved.x >= 0 else 'W'}"


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1122px; margin: 24px auto; padding: 0 24px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 28px 0 8px; }
svg { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid #ccc; box-sizing: border-box; }
.legend { margin: 10px 0; } .legend span { margin-right: 22px; }
.legend i { display: inline-block; width: 14px; height: 14px; margin-right: 6px; vertical-align: -2px; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(500px, 1fr)); gap: 18px 24px; }
figure { margin: 0; } figcaption { font-size: 13px; margin-top: 4px; color: #444; }
.scale { font-size: 12px; fill: #222; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.tables { display: flex; flex-wrap: wrap; gap: 12px 48px; align-items: flex-start; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; padding: 3px 10px; border-bottom: 1px solid #e3e3e3; } th { border-color: #888; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
p.note { font-size: 13px; color: #555; }
</style>
</head>
<body>
<h1>$title</h1>
<p>$summary</p>
<div class="legend">$legend</div>
$overview
<h2>Where the most is wrong</h2>
<p class="note">The $places with the most missed and false objects, of each the 5 km
with most of them; north is up in the middle.</p>
<div class="maps">
$worst
</div>
<h2>Scores</h2>
<p class="note">Intervals by resampling $places, where there are at least 4. A dash: undefined, or not told.</p>
<div class="tables">
<div>$scores</div>
<div><p class="note">Objects at IoU 0.3, by group; sizes in square metres.</p>$groups</div>
</div>
</body>
</html>
""")
