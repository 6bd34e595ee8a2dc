"""The command that makes polygons again from probabilities, without networks."""

from pathlib import Path

from darts_utils.errors import ConfigError


def polygonize_tiles(
    *tiles: Path,
    threshold: float = 0.5,
    min_area_m2: float = 0.0,
    close_holes_m2: float = 0.0,
    simplify_m: float = 0.0,
    out: Path | None = None,
) -> None:
    """Make polygons again from the probabilities of tiles, at another threshold and without networks.

    Args:
        tiles: Results folders of runs, folders of single tiles, or GeoTIFFs of whole percent, of any size.
        threshold: From 0 to 1; ground strictly above it is a slump. Probabilities in files are whole percent: ground
            within half a percent of the threshold may fall on its other side than in `binarized.tif`.
        min_area_m2: Leave out objects that are smaller, in square metres on the ground, with their closed holes.
        close_holes_m2: Close holes that are smaller, in square metres on the ground, with all that lies in them.
        simplify_m: Leave out corners of outlines, which moves them by up to about so many metres.
        out: Folder of the polygons, one folder a tile; if not given, tiles that have none get them.
    """
    if not tiles:
        raise ConfigError("no tiles were named. Name at least one results folder of a run.")
    from darts.inventory.polygonizing import polygonize

    polygonize(
        tiles,
        out,
        threshold=threshold,
        min_area_m2=min_area_m2,
        close_holes_m2=close_holes_m2,
        simplify_m=simplify_m,
    )
