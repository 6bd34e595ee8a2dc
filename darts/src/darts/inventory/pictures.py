"""Pictures of an inventory: a place year by year with what changed, and how large slumps are and how fast they grow."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from darts.utils.terminal import say
from darts_postprocessing.inventory.plane import PLANE_CRS, to_plane
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file, make_folder
from darts_utils.paths import user_path

TIERS = {"high": "#b2182b", "medium": "#ef8a62", "low": "#fddbc7", "unknown": "#999999"}
CHANGES = {"gained": "#d7301f", "lost": "#4575b4"}
_PANEL_IN = 3.2
_ACROSS = 4
_MARGIN = 0.25


def show(inventory: Path, *, slump_id: str | None, at: tuple[float, float] | None, width_m: float, out: Path) -> None:
    """Draw an inventory, see `darts.inventory.exchange.show_inventory`."""
    inventory, out = user_path(inventory), user_path(out)
    if not (inventory / "slumps").is_dir():
        raise ConfigError(f"{inventory} is no inventory. Make one with `darts inventory build`.")
    slumps, tracks, changes = (_layer(inventory, name) for name in ("slumps", "tracks", "changes"))
    if slumps.empty:
        raise ConfigError(f"{inventory} has no slumps, so there is nothing to draw.")
    frame, words = _frame(tracks, slump_id, at, width_m)
    make_folder(out)
    for name, figure in (
        ("place", place_figure(slumps, changes, frame, words)),
        ("sizes", size_figure(slumps, tracks)),
    ):
        with atomic_file(out / f"{name}.png") as part:
            figure.savefig(part, format="png", dpi=130, bbox_inches="tight")
        say(f"Picture: {out / f'{name}.png'}")


def _layer(inventory: Path, name: str) -> gpd.GeoDataFrame:
    table = gpd.read_parquet(inventory / name)
    shapes = to_plane(table.geometry.to_numpy(), "EPSG:4326")
    return table.drop(columns="geometry").set_geometry(gpd.GeoSeries(shapes, index=table.index, crs=PLANE_CRS))


def _frame(
    tracks: gpd.GeoDataFrame, slump_id: str | None, at: tuple[float, float] | None, width_m: float
) -> tuple[tuple[float, float, float, float], str]:
    """Return left, bottom, right and top of what is shown, and how it was found."""
    if slump_id is not None:
        rows = tracks[tracks["slump_id"].str.startswith(slump_id)]
        if len(rows) != 1:
            raise ConfigError(f"{len(rows)} slumps have an id that begins with {slump_id}. Give one that tells it.")
        return _around(rows.geometry.iloc[0], width_m), f"slump {rows['slump_id'].iloc[0][:8]}"
    if at is not None:
        (point,) = to_plane([shapely.Point(at).buffer(1e-9)], "EPSG:4326")
        return _around(point, width_m), f"{at[0]:.4f}, {at[1]:.4f}"
    largest = tracks.iloc[int(np.argmax(tracks["n_years"].to_numpy() * 1e9 + tracks.area.to_numpy()))]
    return _around(largest.geometry, width_m), f"slump {largest['slump_id'][:8]}, of those seen longest the largest"


def _around(shape: shapely.Geometry, width_m: float) -> tuple[float, float, float, float]:
    left, bottom, right, top = shapely.bounds(shape)
    half = max(right - left, top - bottom, width_m) * (0.5 + _MARGIN)
    x, y = (left + right) / 2, (bottom + top) / 2
    return x - half, y - half, x + half, y + half


def place_figure(
    slumps: gpd.GeoDataFrame, changes: gpd.GeoDataFrame, frame: tuple[float, float, float, float], words: str
) -> Figure:
    """Return a picture a year of the slumps of a place, by tier, one of all outlines, and one of the last change."""
    years = sorted(int(year) for year in slumps["year"].unique())
    n_panels = len(years) + 2
    rows, columns = -(-n_panels // _ACROSS), min(_ACROSS, n_panels)
    figure = Figure(figsize=(_PANEL_IN * columns, _PANEL_IN * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, year in zip(panels, years, strict=False):
        _draw_year(panel, slumps[slumps["year"] == year], frame, str(year))
    _draw_outlines(panels[len(years)], slumps, frame)
    _draw_changes(panels[len(years) + 1], changes, frame)
    handles = [Patch(color=colour, label=name) for name, colour in {**TIERS, **CHANGES}.items()]
    # tiers are fills of the years, changes those of the last picture
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    figure.suptitle(f"{words}; {frame[2] - frame[0]:,.0f} m across, in {PLANE_CRS.name}", fontsize=10)
    return figure


def _prepare(panel: Axes, frame: tuple[float, float, float, float], title: str) -> None:
    left, bottom, right, top = frame
    panel.set_axis_on()
    panel.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[], xlabel="", ylabel="")
    panel.set_title(title, fontsize=9)


def _draw_year(panel: Axes, slumps: gpd.GeoDataFrame, frame: tuple[float, float, float, float], title: str) -> None:
    inside = slumps.cx[frame[0] : frame[2], frame[1] : frame[3]]
    for name, colour in TIERS.items():
        own = inside[inside["tier"].fillna("unknown") == name]
        if len(own):
            own.plot(ax=panel, color=colour, edgecolor="black", linewidth=0.5)
    _prepare(panel, frame, f"{title}: {len(inside)} slumps" if len(inside) != 1 else f"{title}: 1 slump")


def _draw_outlines(panel: Axes, slumps: gpd.GeoDataFrame, frame: tuple[float, float, float, float]) -> None:
    """Draw the outlines of all years over one another, from dark to light."""
    inside = slumps.cx[frame[0] : frame[2], frame[1] : frame[3]]
    years = sorted(int(year) for year in slumps["year"].unique())
    for number, year in enumerate(years):
        own = inside[inside["year"] == year]
        if len(own):
            own.boundary.plot(ax=panel, color=colormaps["viridis"](number / max(len(years) - 1, 1)), linewidth=1.2)
    _prepare(panel, frame, f"outlines, {years[0]} dark to {years[-1]} light")


def _draw_changes(panel: Axes, changes: gpd.GeoDataFrame, frame: tuple[float, float, float, float]) -> None:
    """Draw what was gained and lost up to the last year in which something was."""
    inside = changes.cx[frame[0] : frame[2], frame[1] : frame[3]] if len(changes) else changes
    title = "nothing gained or lost"
    if len(inside):
        inside = inside[inside["to_year"] == inside["to_year"].max()]
        title = f"gained and lost, {inside['from_year'].min()} to {inside['to_year'].max()}"
    for kind, colour in CHANGES.items():
        own = inside[inside["kind"] == kind]
        if len(own):
            own.plot(ax=panel, color=colour)
    _prepare(panel, frame, title)


def size_figure(slumps: gpd.GeoDataFrame, tracks: gpd.GeoDataFrame) -> Figure:
    """Return how many slumps there are of a size in the last year, and how fast they grow."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    sizes, growth = figure.subplots(1, 2)
    last = int(slumps["year"].max())
    areas = slumps.loc[(slumps["year"] == last) & (slumps["area_majority_m2"] > 0), "area_majority_m2"].to_numpy()
    if len(areas):
        edges = np.geomspace(max(areas.min(), 1.0) * 0.99, areas.max() * 1.01, 25)
        sizes.hist(areas, bins=edges, color="#777777")
    sizes.set(xscale="log", xlabel="majority area in m2", ylabel="slumps", title=f"{len(areas)} slumps of {last}")
    rates = tracks["growth_m2_per_year"].dropna().to_numpy()
    if len(rates):
        growth.hist(rates, bins=30, color="#777777")
    growth.axvline(0, color="black", linewidth=0.8)
    for panel in (sizes, growth):
        panel.yaxis.get_major_locator().set_params(integer=True)
    growth.locator_params(axis="x", nbins=6)  # more would run into one another
    growth.set(xlabel="growth in m2 a year", ylabel="slumps", title=f"{len(rates)} slumps seen in two years or more")
    return figure
