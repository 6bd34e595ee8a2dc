"""The page over a results folder, and its layers for QGIS: what was mapped, what failed, how it was made."""
