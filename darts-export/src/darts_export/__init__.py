"""Rasters, polygons and pictures of a mapped tile."""

from darts_export.export import export_tile
from darts_export.products import check_bands, expected_files, missing_files, missing_outputs, needed_variables

__all__ = ["check_bands", "expected_files", "export_tile", "missing_files", "missing_outputs", "needed_variables"]
