"""The commands of inventories; the work is in `darts_postprocessing.inventory`."""
