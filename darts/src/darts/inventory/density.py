"""The command that adds an inventory up over cells, regions and latitudes."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def density_of_inventory(
    inventory: Path,
    *,
    year: int | None = None,
    by_region: bool = True,
    regions: Path | None = None,
    region_column: str = "shapeName",
    admin_dir: Path | None = None,
    offline: bool = False,
    workers: int | None = None,
    out: Path = Path("density"),
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Add up ground that was seen, slumps, and slump area that is expected, over cells, districts and latitudes.

    Args:
        inventory: The inventory.
        year: Only this year; each if not given.
        by_region: Also make the table of regions.
        regions: Polygons of the regions; the districts of geoBoundaries (ADM2) if not given, which are fetched once.
        region_column: The column of the polygons with the names of regions.
        admin_dir: Folder of the districts.
        offline: Open no network connection.
        workers: Processes that work at once; one a core if not given.
        out: Folder of the rasters and tables.
        as_json: Print what was counted as one JSON document, and nothing else.
    """
    from darts.inventory.densities import Boundaries, write_densities

    write_densities(
        inventory,
        year,
        Boundaries(file=regions, column=region_column, folder=admin_dir, offline=offline) if by_region else None,
        workers=workers,
        out=out,
        as_json=as_json,
    )
