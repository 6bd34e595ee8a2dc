"""Pictures of an inventory: a place year by year with what changed, and how large slumps are and how fast they grow."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter

from darts.inventory.layers import read_part
from darts.utils.terminal import say
from darts_postprocessing.exchange.qgis_style import CHANGE_COLOURS, TIER_COLOURS
from darts_postprocessing.inventory.plane import PLANE_CRS, to_degrees, to_plane
from darts_postprocessing.inventory.said import inventory_in
from darts_utils.crs import transformer
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file
from darts_utils.machine.outputs import check_writable, writing
from darts_utils.paths import user_path

TIERS = {tier or "no tier": colour for tier, colour in TIER_COLOURS.items()}
_PANEL_IN = 3.2
_ACROSS = 4
_MARGIN = 0.25
_WIDEST_M = 1_000_000
_UNKNOWN = "unknown, no image looked here"

type Frame = tuple[float, float, float, float]
"""Left, bottom, right and top of what is shown, in the plane."""


def show(inventory: Path, *, slump_id: str | None, at: tuple[float, float] | None, width_m: float, out: Path) -> None:
    """Draw an inventory, see `darts.inventory.exchange.show_inventory`."""
    inventory, out = inventory_in(user_path(inventory)), user_path(out)
    _check_asked(at, width_m)
    check_writable(out)
    if not (inventory / "slumps").is_dir():
        raise ConfigError(f"{inventory} is no inventory. Make one with `darts inventory build`.")
    slumps, tracks, changes = (_layer(inventory, name) for name in ("slumps", "tracks", "changes"))
    if slumps.empty:
        raise ConfigError(f"{inventory} has no slumps, so there is nothing to draw.")
    frame, words = _frame(slumps, tracks, slump_id, at, width_m)
    looked = _years_looked(inventory, frame)
    for name, figure in (
        ("place", place_figure(slumps, changes, frame, words, looked)),
        ("sizes", size_figure(slumps, tracks)),
    ):
        with writing(out), atomic_file(out / f"{name}.png") as part:
            figure.savefig(part, format="png", dpi=130, bbox_inches="tight")
        say(f"Picture: {out / f'{name}.png'}")


def _check_asked(at: tuple[float, float] | None, width_m: float) -> None:
    """Refuse a place or a width that nothing can be drawn of.

    Raises:
        ConfigError: If one is out of its range, or no number.
    """
    if not 0 < width_m <= _WIDEST_M:
        raise ConfigError(f"width_m is {width_m:g} but must be above 0 and at most {_WIDEST_M:,.0f}. Correct it.")
    if at is not None and not (-180 <= at[0] <= 360 and 0 <= at[1] <= 90):
        advice = "Longitude first." if 0 <= at[0] <= 90 else "Correct it."
        raise ConfigError(
            f"at is {at[0]:g} {at[1]:g} but must be a longitude from -180 to 360 and a latitude from 0 to 90. {advice}"
        )


def _years_looked(inventory: Path, frame: Frame) -> frozenset[int] | None:
    """Return the years in which any image looked at a part of what is shown, None where looks are not there."""
    if not (inventory / "looks").is_dir():
        return None
    shown = shapely.box(*frame)
    years: set[int] = set()
    for part in shapely.get_parts(to_degrees([shapely.segmentize(shown, (frame[2] - frame[0]) / 50)])):
        # some metres more: its edges are straight in degrees
        looks = read_part(inventory, "looks", ["year", "geometry"], bbox=shapely.bounds(part.buffer(1e-4)).tolist())
        sees = shapely.intersects(to_plane(looks.geometry.to_numpy(), "EPSG:4326"), shown)
        years |= set(looks.loc[sees, "year"].astype(int))
    return frozenset(years)


def _layer(inventory: Path, name: str) -> gpd.GeoDataFrame:
    table = read_part(inventory, name)
    shapes = to_plane(table.geometry.to_numpy(), "EPSG:4326")
    return table.drop(columns="geometry").set_geometry(gpd.GeoSeries(shapes, index=table.index, crs=PLANE_CRS))


def _frame(
    slumps: gpd.GeoDataFrame,
    tracks: gpd.GeoDataFrame,
    slump_id: str | None,
    at: tuple[float, float] | None,
    width_m: float,
) -> tuple[Frame, str]:
    """Return left, bottom, right and top of what is shown, and how it was found."""
    if slump_id is not None:
        rows = tracks[tracks["slump_id"].str.startswith(slump_id)]
        if len(rows) != 1:
            found = "no slump has" if rows.empty else f"{len(rows)} slumps have"
            advice = "Take one from the tracks." if rows.empty else "Give more of it."
            raise ConfigError(f"{found} an id that begins with {slump_id}. {advice}")
        name = rows["slump_id"].iloc[0]
        return _around(_all_years(slumps, name), width_m), f"slump {name[:8]}"
    if at is not None:
        point = shapely.Point(transformer("EPSG:4326", PLANE_CRS).transform(*at))
        return _around(point, width_m), f"{at[0]:.4f}, {at[1]:.4f}"
    largest = tracks.iloc[int(np.argmax(tracks["n_years"].to_numpy() * 1e9 + tracks.area.to_numpy()))]
    name = largest["slump_id"]
    return _around(_all_years(slumps, name), width_m), f"slump {name[:8]}, of those seen longest the largest"


def _all_years(slumps: gpd.GeoDataFrame, slump_id: str) -> shapely.Geometry:
    """Return all outlines that a slump had, as one shape to be framed."""
    return shapely.geometrycollections(slumps.geometry[slumps["slump_id"] == slump_id].to_numpy())


def _around(shape: shapely.Geometry, width_m: float) -> Frame:
    left, bottom, right, top = shapely.bounds(shape)
    half = max(right - left, top - bottom, width_m) * (0.5 + _MARGIN)
    x, y = (left + right) / 2, (bottom + top) / 2
    return x - half, y - half, x + half, y + half


def place_figure(
    slumps: gpd.GeoDataFrame,
    changes: gpd.GeoDataFrame,
    frame: Frame,
    words: str,
    looked: frozenset[int] | None = None,
) -> Figure:
    """Return a picture a year of the slumps of a place, by tier, one of all outlines, and one of the last change.

    Args:
        slumps: Level 2 in the plane.
        changes: What was gained and lost, in the plane.
        frame: What is shown.
        words: How it was found.
        looked: Years in which an image looked there; each if not given.
    """
    years = sorted(int(year) for year in slumps["year"].unique())
    n_panels = len(years) + 2
    rows, columns = -(-n_panels // _ACROSS), min(_ACROSS, n_panels)
    figure = Figure(figsize=(_PANEL_IN * columns, _PANEL_IN * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, year in zip(panels, years, strict=False):
        _draw_year(panel, slumps[slumps["year"] == year], frame, year, is_known=looked is None or year in looked)
    _draw_outlines(panels[len(years)], slumps, frame)
    _draw_changes(panels[len(years) + 1], changes, frame, is_known=looked is None or len(looked) > 1)
    handles = [Patch(color=colour, label=name) for name, colour in {**TIERS, **CHANGE_COLOURS}.items()]
    # tiers are fills of the years, changes those of the last picture
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    _draw_scale_and_north(panels[0], frame)
    middle = shapely.Point((frame[0] + frame[2]) / 2, (frame[1] + frame[3]) / 2)
    longitude, latitude = transformer(PLANE_CRS, "EPSG:4326").transform(middle.x, middle.y)
    across = f"the pictures are {frame[2] - frame[0]:,.0f} m wide, around {longitude:.4f} {latitude:.4f}"
    figure.suptitle(f"{words}; {across}", fontsize=10)
    return figure


def _draw_scale_and_north(panel: Axes, frame: Frame) -> None:
    """Draw a bar of a round length, and an arrow to the north, which is where the pole of the plane lies."""
    width = frame[2] - frame[0]
    power = 10.0 ** np.floor(np.log10(width / 3))
    length = max(step * power for step in (1, 2, 5) if step * power <= width / 3)
    x, y = frame[0] + 0.05 * width, frame[1] + 0.05 * width
    panel.plot([x, x + length], [y, y], color="black", linewidth=2, solid_capstyle="butt")
    panel.text(x + length / 2, y + 0.02 * width, f"{length:g} m", ha="center", va="bottom", fontsize=7)
    middle = np.array([(frame[0] + frame[2]) / 2, (frame[1] + frame[3]) / 2])
    north = -middle / max(float(np.hypot(*middle)), 1.0)
    centre = np.array([frame[2], frame[3]]) - 0.12 * width
    start, end = centre - 0.07 * width * north, centre + 0.07 * width * north
    panel.annotate(
        "N", xy=tuple(start), xytext=tuple(end), ha="center", va="center", fontsize=7, arrowprops={"arrowstyle": "<-"}
    )


def _prepare(panel: Axes, frame: Frame, title: str) -> None:
    left, bottom, right, top = frame
    panel.set_axis_on()
    panel.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[], xlabel="", ylabel="")
    panel.set_title(title, fontsize=9)


def _draw_year(panel: Axes, slumps: gpd.GeoDataFrame, frame: Frame, year: int, *, is_known: bool) -> None:
    inside = slumps.cx[frame[0] : frame[2], frame[1] : frame[3]]
    for name, colour in TIERS.items():
        own = inside[inside["tier"].fillna("no tier") == name]
        if len(own):
            own.plot(ax=panel, color=colour, edgecolor="black", linewidth=0.5)
    number = "1 slump" if len(inside) == 1 else f"{len(inside)} slumps"
    _prepare(panel, frame, f"{year}: {number if len(inside) or is_known else _UNKNOWN}")


def _draw_outlines(panel: Axes, slumps: gpd.GeoDataFrame, frame: Frame) -> None:
    """Draw the outlines of all years over one another, from dark to light."""
    inside = slumps.cx[frame[0] : frame[2], frame[1] : frame[3]]
    years = sorted(int(year) for year in slumps["year"].unique())
    for number, year in enumerate(years):
        own = inside[inside["year"] == year]
        if len(own):
            own.boundary.plot(ax=panel, color=colormaps["viridis"](number / max(len(years) - 1, 1)), linewidth=1.2)
    _prepare(panel, frame, f"outlines, {years[0]} dark to {years[-1]} light")


def _draw_changes(panel: Axes, changes: gpd.GeoDataFrame, frame: Frame, *, is_known: bool) -> None:
    """Draw what was gained and lost up to the last year in which something was."""
    inside = changes.cx[frame[0] : frame[2], frame[1] : frame[3]] if len(changes) else changes
    title = "nothing gained or lost" if is_known else "changes unknown: no images of two years"
    if len(inside):
        inside = inside[inside["to_year"] == inside["to_year"].max()]
        title = f"gained and lost, {inside['from_year'].min()} to {inside['to_year'].max()}"
    for kind, colour in CHANGE_COLOURS.items():
        own = inside[inside["kind"] == kind]
        if len(own):
            own.plot(ax=panel, color=colour)
    _prepare(panel, frame, title)


def size_figure(slumps: gpd.GeoDataFrame, tracks: gpd.GeoDataFrame) -> Figure:
    """Return how many slumps there are of a size in the last year, and how fast they grow."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    sizes, growth = figure.subplots(1, 2)
    last = int(slumps["year"].max())
    of_last = slumps.loc[slumps["year"] == last, "area_majority_m2"].to_numpy()
    areas = of_last[of_last > 0]
    others = f", {len(of_last) - len(areas)} more without majority area" if len(areas) < len(of_last) else ""
    if len(areas):
        edges = np.geomspace(max(areas.min(), 1.0) * 0.99, areas.max() * 1.01, 25)
        sizes.hist(areas, bins=edges, color="#777777")
    sizes.set(
        xscale="log", xlabel="majority area in m2", ylabel="slumps", title=f"{len(areas)} slumps of {last}{others}"
    )
    if len(areas):  # the usual labels of a log axis run into one another where the range is narrow
        ticks = sorted({float(f"{tick:.1e}") for tick in np.geomspace(edges[0], edges[-1], 4)})
        sizes.xaxis.set_major_locator(FixedLocator(ticks))
        sizes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        sizes.xaxis.set_minor_formatter(NullFormatter())
    rates = tracks["growth_m2_per_year"].dropna().to_numpy()
    if len(rates):
        growth.hist(rates, bins=30, color="#777777")
    growth.axvline(0, color="black", linewidth=0.8)
    for panel in (sizes, growth):
        panel.yaxis.get_major_locator().set_params(integer=True)
    growth.locator_params(axis="x", nbins=6)  # more would run into one another
    growth.set(xlabel="growth in m2 a year", ylabel="slumps", title=f"{len(rates)} slumps seen in two years or more")
    return figure
