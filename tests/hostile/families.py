"""All families of mutations; they take turns."""

from hostile import checkpoints, configs, ids, items, rasters, results, stores, vectors

FAMILIES = tuple(module.bad for module in (checkpoints, configs, ids, items, rasters, results, stores, vectors))
