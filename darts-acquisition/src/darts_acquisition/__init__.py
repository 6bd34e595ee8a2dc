"""Satellite scenes, elevation and trend data as DARTS tiles."""

from darts_acquisition.auxiliary.arcticdem import load_arcticdem
from darts_acquisition.auxiliary.tcvis import load_tcvis
from darts_acquisition.optical.cdse import load_cdse_s2_sr_scene
from darts_acquisition.optical.quality import convert_masks

__all__ = ["convert_masks", "load_arcticdem", "load_cdse_s2_sr_scene", "load_tcvis"]
