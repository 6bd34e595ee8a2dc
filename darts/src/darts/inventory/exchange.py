"""The commands that show inventories, bring them to other programs and to ARTS, and layers of ARTS here."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from darts_postprocessing.exchange.contribution import Contribution

type Format = Literal["geopackage", "geojson", "shapefile", "csv", "arts"]


def export_inventory(
    inventory: Path,
    *,
    form: Annotated[Format, Parameter(name="--format")] = "geopackage",
    year: int | None = None,
    out: Path | None = None,
    arts: Annotated[Contribution | None, Parameter(name="*")] = None,
) -> None:
    """Write an inventory for other programs: a GeoPackage with styles, GeoJSON, Shapefiles, CSV of centroids, or ARTS.

    Args:
        inventory: The inventory.
        form: geopackage is one file with slumps, tracks and changes; geojson, shapefile and csv are folders with a file
            a layer; arts is a GeoPackage with the slumps of one year in the community's schema.
        year: Write the slumps of this year alone.
        out: The file or folder to write; beside the inventory, named after the format, if not given.
        arts: What ARTS asks for.
    """
    from darts.inventory.exchanging import export

    export(inventory, form=form, year=year, out=out, arts=arts)


def import_layer(layer: Path, *, out: Path) -> None:
    """Check a layer in the schema of ARTS, and write it with the columns of DARTS, as labels or as a reference.

    Args:
        layer: The layer, in EPSG:4326 or EPSG:3413.
        out: GeoParquet to write.
    """
    from darts.inventory.exchanging import bring_in

    bring_in(layer, out)


def show_inventory(
    inventory: Path,
    *,
    slump_id: str | None = None,
    at: tuple[float, float] | None = None,
    width_m: float = 400.0,
    out: Path = Path("pictures"),
) -> None:
    """Draw a place year by year, with what it gained and lost, and how large slumps are and how fast they grow.

    Args:
        inventory: The inventory.
        slump_id: The slump to show; the first letters of its id are enough. The largest of those seen longest if not
            given.
        at: Or the longitude and latitude of the place to show.
        width_m: Metres of ground to show at least, up to 1,000,000.
        out: Folder of `place.png` and `sizes.png`.
    """
    from darts.inventory.pictures import show

    show(inventory, slump_id=slump_id, at=at, width_m=width_m, out=out)
