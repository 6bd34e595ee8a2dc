"""DARTS maps retrogressive thaw slumps from satellite images: command line and pipelines."""

import importlib.metadata

from darts_utils.machine.waiting import wait_briefly

wait_briefly()

__version__ = importlib.metadata.version("darts-nextgen")
