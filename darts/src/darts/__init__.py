"""DARTS maps retrogressive thaw slumps from satellite images: command line and pipelines."""

import importlib.metadata

__version__ = importlib.metadata.version("darts-nextgen")
