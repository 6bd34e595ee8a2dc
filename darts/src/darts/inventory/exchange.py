"""The commands that bring inventories to other programs and to ARTS, and layers of ARTS here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from darts.utils.terminal import say
from darts_utils.errors import ConfigError, DataError
from darts_utils.files import atomic_file, make_folder
from darts_utils.paths import user_path

if TYPE_CHECKING:
    import geopandas as gpd

type Format = Literal["geopackage", "geojson", "shapefile", "csv", "arts"]

_SUFFIXES = {"geopackage": ".gpkg", "geojson": "", "shapefile": "", "csv": "", "arts": ".gpkg"}
"""Ending of what is written; folders have none."""
_LAYERS = ("slumps", "tracks", "changes")
_TOLD_BY_TRACKS = ["slump_id", "status", "split_from", "merged_into"]
_CENTRED = ("slumps", "tracks")


@dataclass(frozen=True, kw_only=True)
class ArtsParameters:
    """What ARTS asks of who contributes."""

    region_name: str | None = None
    """Name of the region, for ARTS."""
    creator_lab: str | None = None
    """Who made the inventory, and where, for ARTS."""
    base_map_source: str = "Sentinel-2"
    """Sensor of the images, for ARTS."""
    base_map_resolution: float = 10.0
    """Pixel size of the images in metres, for ARTS."""
    contribution_date: str | None = None
    """Day of the contribution, YYYY-MM-DD, for ARTS; today if not given."""


def export_inventory(
    inventory: Path,
    *,
    form: Annotated[Format, Parameter(name="--format")] = "geopackage",
    year: int | None = None,
    out: Path | None = None,
    arts: Annotated[ArtsParameters | None, Parameter(name="*")] = None,
) -> None:
    """Write an inventory for other programs: a GeoPackage with styles, GeoJSON, Shapefiles, CSV of centroids, or ARTS.

    Args:
        inventory: The inventory.
        form: geopackage is one file with all layers; geojson, shapefile and csv are folders with a file a layer; arts
            is a GeoPackage with the slumps of one year in the community's schema.
        year: Write the slumps of this year alone.
        out: The file or folder to write; beside the inventory, named after the format, if not given.
        arts: What ARTS asks for.
    """
    from darts_postprocessing.exchange.formats import write_layers

    inventory = user_path(inventory).absolute()
    target = inventory.with_name(f"{inventory.name}-{form}{_SUFFIXES[form]}") if out is None else user_path(out)
    layers = (
        {"slumps": _arts_of(inventory, year, arts or ArtsParameters())}
        if form == "arts"
        else _layers_of(inventory, year, form)
    )
    make_folder(target.parent)
    written = write_layers(target, layers, "geopackage" if form == "arts" else form)
    for name, layer in layers.items():
        say(f"{name}: {len(layer)} rows")
    for file in written:
        say(f"Written: {file}")


def _layers_of(inventory: Path, year: int | None, form: Format) -> "dict[str, gpd.GeoDataFrame]":
    """Return the layers that a format shows, those of slumps of one year if that is wanted."""
    import geopandas as gpd

    from darts.inventory.layers import read_layer

    if not (inventory / "slumps").is_dir():
        raise ConfigError(f"{inventory} is no inventory. Make one with `darts inventory build`.")
    layers = {name: gpd.read_parquet(inventory / name) for name in _LAYERS if (inventory / name).is_dir()}
    if year is not None:
        layers = {"slumps": read_layer(inventory, year)}
    return {name: layer for name, layer in layers.items() if form != "csv" or name in _CENTRED}


def _arts_of(inventory: Path, year: int | None, given: ArtsParameters) -> "gpd.GeoDataFrame":
    """Return the slumps of a year in the schema of ARTS, with what their tracks tell."""
    import geopandas as gpd

    from darts.inventory.layers import read_layer
    from darts_postprocessing.exchange.arts import to_arts

    if given.region_name is None or given.creator_lab is None:
        raise ConfigError("ARTS asks for the region and who made the inventory. Give --region-name and --creator-lab.")
    slumps = read_layer(inventory, year)
    if (inventory / "tracks").is_dir():
        tracks = gpd.read_parquet(
            inventory / "tracks", columns=["slump_id", "status", "split_from", "merged_into", "geometry"]
        )
        slumps = slumps.merge(tracks.drop(columns="geometry"), on="slump_id", how="left", validate="m:1")
    return to_arts(
        slumps,
        region_name=given.region_name,
        creator_lab=given.creator_lab,
        base_map_source=given.base_map_source,
        base_map_resolution=given.base_map_resolution,
        contribution_date=given.contribution_date or datetime.now(UTC).date(),
    )


def import_layer(layer: Path, *, out: Path) -> None:
    """Check a layer in the schema of ARTS, and write it with the columns of DARTS, as labels or as a reference.

    Args:
        layer: The layer, in EPSG:4326 or EPSG:3413.
        out: GeoParquet to write.
    """
    from darts.inventory.layers import read_layer
    from darts_postprocessing.exchange.arts import check_arts, from_arts

    layer, out = user_path(layer), user_path(out)
    if out.suffix != ".parquet":
        raise ConfigError(f"out is {out.name} but must end in .parquet. Rename it.")
    table = read_layer(layer)
    for fault in check_arts(table):
        say(f"not as ARTS has it: {fault}")
    found = from_arts(table)
    if found.empty:
        raise DataError(f"{layer} has no rows. Give another layer.")
    make_folder(out.parent)
    with atomic_file(out) as part:
        found.to_parquet(part, index=False)
    say(f"{len(found)} rows, {found['area_m2'].sum() / 1e6:.3f} km2")
    say(f"Written: {out}")
