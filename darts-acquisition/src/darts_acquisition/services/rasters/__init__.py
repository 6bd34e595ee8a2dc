"""Rasters in the storages of services."""
