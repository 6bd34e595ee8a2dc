"""`darts report`: one page over one or several results folders."""

from pathlib import Path

from darts.utils.terminal import say, short_path
from darts_utils.errors import ConfigError
from darts_utils.paths import user_path
from darts_utils.text import counted


def report(*folders: Path, out: Path | None = None, metadata_dir: Path | None = None) -> None:
    """Write a page over results folders: map, pictures, table, failures, times, how it was made; and a QGIS project.

    Args:
        folders: Results folders.
        out: Folder for `index.html`, `darts_layers.gpkg` and `darts.qgz`; that of the results, if it is one.
        metadata_dir: Where the records of the runs are, if not in the results folder.

    Raises:
        ConfigError: If no folder is given, or several without a folder for the report.
    """
    if not folders:
        raise ConfigError("no results folder is given. Name one or several: darts report output/sentinel2-cdse")
    places = [user_path(folder) for folder in folders]
    if out is None and len(places) > 1:
        raise ConfigError(f"{len(places)} folders are given. Say with --out where the report over all of them goes.")
    from darts.report.build import PAGE, PROJECT, build_report

    target = places[0] if out is None else user_path(out)
    found = build_report(places, target, None if metadata_dir is None else user_path(metadata_dir))
    n_mapped = len(found.layers.scenes)
    n_objects = len(found.layers.slumps)
    say(f"Report over {counted(n_mapped, 'tile')}, {counted(n_objects, 'object')}: {short_path(target / PAGE)}")
    say(f"For QGIS: {short_path(target / PROJECT)}")
