"""Inventories written for other programs and for ARTS, and layers of ARTS read."""

from pathlib import Path

import geopandas as gpd

from darts.inventory.exchange import Format
from darts.inventory.layers import read_layer, read_part, read_verdicts, read_years
from darts.utils.terminal import say
from darts_postprocessing.exchange.arts import check_arts, from_arts, to_arts
from darts_postprocessing.exchange.contribution import Contribution
from darts_postprocessing.exchange.formats import write_layers
from darts_postprocessing.inventory.said import inventory_in, origin_of
from darts_postprocessing.review.verdicts import FOLDER, final_verdicts, with_verdicts
from darts_utils.errors import ConfigError, DataError
from darts_utils.files import atomic_file, make_folder
from darts_utils.machine.outputs import check_writable, writing
from darts_utils.paths import user_path
from darts_utils.text import counted

_SUFFIXES = {"geopackage": ".gpkg", "geojson": "", "shapefile": "", "csv": "", "arts": ".gpkg"}
"""Ending of what is written; folders have none."""
_LAYERS = ("slumps", "tracks", "changes")
_TOLD_BY_TRACKS = ["slump_id", "status", "split_from", "merged_into"]
_CENTRED = ("slumps", "tracks")


def export(inventory: Path, *, form: Format, year: int | None, out: Path | None, arts: Contribution | None) -> None:
    """Write an inventory for other programs, see `darts.inventory.exchange.export_inventory`."""
    given = user_path(inventory).absolute()
    inventory = inventory_in(given)
    target = given.with_name(f"{given.name}-{form}{_SUFFIXES[form]}") if out is None else user_path(out)
    check_writable(target.parent)
    layers = (
        {"slumps": _arts_of(inventory, year, arts or Contribution())}
        if form == "arts"
        else layers_of(inventory, year, form)
    )
    make_folder(target.parent)
    written = write_layers(target, layers, "geopackage" if form == "arts" else form, origin_of(inventory))
    for name, layer in layers.items():
        say(f"{name}: {counted(len(layer), 'row')}")
    for file in written:
        say(f"Written: {file}")


def layers_of(inventory: Path, year: int | None, form: Format) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers that a format shows, with verdicts, those of slumps of one year if that is wanted.

    Raises:
        ConfigError: If the folder is no inventory, or has no such year.
    """
    if not (inventory / "slumps").is_dir():
        raise ConfigError(f"{inventory} is no inventory. Make one with `darts inventory build`.")
    layers = {name: read_part(inventory, name) for name in _LAYERS if (inventory / name).is_dir()}
    if year is not None:
        layers = {"slumps": read_layer(inventory, year)}
    if (verdicts := read_verdicts(inventory)) is not None:
        layers["slumps"] = with_verdicts(layers["slumps"], verdicts)
        if form == "geopackage":  # with the outlines that people left
            layers[FOLDER] = final_verdicts(verdicts)
    return {name: layer for name, layer in layers.items() if form != "csv" or name in _CENTRED}


def _arts_of(inventory: Path, year: int | None, given: Contribution) -> gpd.GeoDataFrame:
    """Return the slumps of a year in the schema of ARTS, with what their tracks tell."""
    given.values()  # what is not given is said before anything is read
    slumps = read_layer(inventory, year)
    if (inventory / "tracks").is_dir():
        tracks = read_part(inventory, "tracks", [*_TOLD_BY_TRACKS, "geometry"])
        slumps = slumps.merge(tracks[_TOLD_BY_TRACKS], on="slump_id", how="left", validate="m:1")
    return to_arts(slumps, given)


def bring_in(layer: Path, out: Path) -> None:
    """Check and write a layer of ARTS, see `darts.inventory.exchange.import_layer`."""
    layer, out = user_path(layer), user_path(out)
    if out.suffix != ".parquet":
        raise ConfigError(f"out is {out.name} but must end in .parquet. Rename it.")
    check_writable(out.parent)
    table = read_years(layer)
    for fault in check_arts(table):
        say(f"not as ARTS has it: {fault}")
    found = from_arts(table)
    if found.empty:
        raise DataError(f"{layer} has no rows. Give another layer.")
    make_folder(out.parent)
    with writing(out), atomic_file(out) as part:
        found.to_parquet(part, index=False)
    say(f"{counted(len(found), 'row')}, {found['area_m2'].sum() / 1e6:.3f} km2")
    say(f"Written: {out}")
