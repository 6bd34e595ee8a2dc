"""Rasters, polygons and pictures of a mapped tile."""

from typing import TYPE_CHECKING, Any

from darts_export.products import check_bands, expected_files, missing_files, missing_outputs, needed_variables

if TYPE_CHECKING:
    from darts_export.export import export_tile

__all__ = ["check_bands", "expected_files", "export_tile", "missing_files", "missing_outputs", "needed_variables"]


def __getattr__(name: str) -> Any:
    """Import what writes only when it is asked for: what is wrong with names is told before seconds of imports."""
    if name == "export_tile":
        from darts_export.export import export_tile

        return export_tile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
