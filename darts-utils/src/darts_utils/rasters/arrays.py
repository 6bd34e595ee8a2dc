"""The type of arrays in signatures; axes, dtype and unit are said in words beside it."""

from typing import Any

import numpy as np

type Array = np.ndarray[Any, np.dtype[Any]]
