"""Pictures of the largest slumps, for the map of a publication."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas as gpd

from darts.review.candidates import Candidates
from darts.review.imagery import Imagery
from darts.review.places import DataPlaces
from darts.review.store import Question
from darts.utils.terminal import note, now_and_then
from darts_export.publish.changed import write_changed
from darts_utils.errors import MissingDataError
from darts_utils.text import counted

PICTURES = "pictures"


def write_pictures(
    inventory: Path,
    catalogue: Path,
    roots: Sequence[Path],
    slumps: gpd.GeoDataFrame,
    data: DataPlaces,
    *,
    most: int,
) -> Mapping[str, str]:
    """Write a picture of each of the largest slumps, as they were seen last, and remove others.

    Args:
        inventory: The inventory.
        catalogue: Folder of the publication.
        roots: Results folders.
        slumps: Level 2.
        data: Where images lie, if not where the runs read them.
        most: How many.

    Returns:
        Their places in the catalogue by `slump_id`; slumps without an image at hand are left out.
    """
    found = _pictures(inventory, roots, slumps, data, most) if most else {}
    places = {slump: f"{PICTURES}/{slump}.jpg" for slump in found}
    for slump, picture in found.items():
        write_changed(catalogue / places[slump], picture)
    for file in sorted((catalogue / PICTURES).glob("*.jpg")):
        if f"{PICTURES}/{file.name}" not in places.values():
            file.unlink()
    return places


def _pictures(
    inventory: Path, roots: Sequence[Path], slumps: gpd.GeoDataFrame, data: DataPlaces, most: int
) -> Mapping[str, bytes]:
    candidates = Candidates(inventory, Imagery.of(roots, data))
    last = slumps.sort_values(["slump_id", "year"], kind="stable").drop_duplicates("slump_id", keep="last")
    largest = last.sort_values(["area_majority_m2", "slump_id"], ascending=[False, True], kind="stable").head(most)
    found = {}
    tell = now_and_then("pictures")
    for number, (slump, year) in enumerate(zip(largest["slump_id"], largest["year"], strict=True)):
        tell(number, len(largest))
        try:
            found[str(slump)] = candidates.picture(Question(0, str(slump), int(year)), int(year), "close", "colour")
        except MissingDataError:
            continue
    if len(found) < len(largest):
        note(f"Of {counted(len(largest) - len(found), 'slump')} no image is at hand: the map shows no picture of them.")
    return found
