"""Rasters, polygons and pictures of a mapped tile."""

from darts_export.check import check_bands, expected_files, missing_files, missing_outputs, needed_variables
from darts_export.export import export_tile

__all__ = ["check_bands", "expected_files", "export_tile", "missing_files", "missing_outputs", "needed_variables"]
