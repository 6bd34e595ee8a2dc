"""Administrative boundaries under their public name."""

from darts_acquisition.catalog.boundaries import download_admin_files

__all__ = ["download_admin_files"]
