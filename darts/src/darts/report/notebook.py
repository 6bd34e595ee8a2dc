"""What a report of a run shows in Python: tables, a picture, and in Jupyter the page itself."""

import base64
from collections.abc import Iterable
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import pandas as pd
from matplotlib.figure import Figure

from darts.pipelines.results.journal import RESULT_COLUMNS, result_row
from darts.report.layers import CRS, layers_of
from darts_utils.text import counted

if TYPE_CHECKING:
    from darts.pipelines.tiles import Outcome, RunReport
    from darts.report.gather import Gathered

_PICTURE_PX = 480
_MOST_PICTURES = 24
"""Each takes some 40 kB of the notebook."""


def frame_of(report: "RunReport") -> pd.DataFrame:
    """Return how each tile ended, see `RunReport.to_frame`."""
    rows = [result_row(outcome, report.folder) for outcome in report.outcomes]
    frame = pd.DataFrame(rows, columns=list(RESULT_COLUMNS))
    return frame.assign(started=pd.to_datetime(frame["started"], unit="s", utc=True))


def slumps_of(report: "RunReport") -> gpd.GeoDataFrame:
    """Return the objects of all tiles, see `RunReport.slumps`."""
    return layers_of(_folders(report.folder, report.outcomes)).slumps.drop(columns="folder")


class Picture(Figure):
    """A figure that Jupyter shows, also where pyplot, which teaches it to, was never imported."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def figure_of(report: "RunReport") -> Picture:
    """Return a picture of mapped ground and slumps, see `RunReport.plot`."""
    layers = layers_of(_folders(report.folder, report.outcomes))
    figure = Picture(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    grounds = layers.scenes.geometry.dropna()
    if len(grounds):
        grounds.boundary.plot(ax=axes, color="#1f5f8b", linewidth=1)
    if len(layers.slumps):
        layers.slumps.plot(ax=axes, color="#b2182b", edgecolor="#b2182b", linewidth=0.8)
    axes.set(
        title=f"{counted(len(layers.slumps), 'object')} in {counted(len(layers.scenes), 'tile')}",
        xlabel="m",
        ylabel=f"m, {CRS}",
    )
    axes.set_aspect("equal")
    axes.tick_params(labelsize=7)
    return figure


def _folders(results: Path, outcomes: Iterable["Outcome"]) -> dict[str, Path]:
    there = (outcome.ref.output_folder for outcome in outcomes if outcome.status != "failed")
    return {folder.as_posix(): results / folder for folder in there}


def html_of(report: "RunReport") -> str:
    """Return the page over the results folder as a frame in a notebook; pictures are in it, a few and small."""
    from darts.report.gather import gather
    from darts.report.page import page_of

    found = gather([report.folder], report.folder, report.record_folder)
    page = page_of(found, pictures=dict(_pictures(found)))
    return f'<iframe srcdoc="{escape(page)}" style="width: 100%; height: 760px; border: 0" title="DARTS"></iframe>'


def _pictures(found: "Gathered") -> Iterable[tuple[str, str]]:
    import cv2

    files = ((tile.path, tile.folder / "thumbnail.jpg") for tile in found.tiles)
    for path, file in [(path, file) for path, file in files if file.is_file()][:_MOST_PICTURES]:
        picture = cv2.imread(str(file))
        if picture is None:
            continue
        share = min(_PICTURE_PX / max(picture.shape[:2]), 1)
        _, small = cv2.imencode(".jpg", cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA))
        yield path, f"data:image/jpeg;base64,{base64.b64encode(small.tobytes()).decode()}"
