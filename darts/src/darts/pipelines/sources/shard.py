"""One of several parts of what is selected, for machines that know nothing of one another."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from darts_utils.errors import ConfigError

_PART = re.compile(r"(\d+)/(\d+)")
_SLURM = "slurm"


@dataclass(frozen=True)
class Shard:
    """A part of a list: every so many-th item."""

    number: int
    """Which part, from 0."""
    count: int
    """How many parts there are."""

    @classmethod
    def of(cls, given: str, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the part that a text names: `2/4` is the second of four, `slurm` that of the task of a job array.

        Args:
            given: The text.
            environment: Where SLURM says which task of which array this is.

        Raises:
            ConfigError: If it is no part, or this is no task of a job array.
        """
        if given == _SLURM:
            return cls._of_slurm(environment)
        found = _PART.fullmatch(given.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ConfigError(
                f"shard is {given!r} but must be a part such as 2/4 (the second of four), or slurm. Correct it."
            )
        return cls(int(found[1]) - 1, int(found[2]))

    @classmethod
    def _of_slurm(cls, environment: Mapping[str, str]) -> Self:
        names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "STEP", "COUNT")]
        given = [environment.get(name, "") for name in names]
        if not all(text.isascii() and text.isdigit() for text in (given[0], given[1], given[3])):
            raise ConfigError(
                "shard is slurm, but this is no task of a job array: SLURM_ARRAY_TASK_ID, _MIN and _COUNT are not set. "
                "Start it with `sbatch --array`, or name a part such as 2/4."
            )
        task, first, count = int(given[0]), int(given[1]), int(given[3])
        step = int(given[2]) if given[2].isdigit() and int(given[2]) > 0 else 1
        return cls((task - first) // step, count)

    def part[T](self, whole: Sequence[T]) -> list[T]:
        """Return this part of a list; the parts of all numbers are all of it, and have nothing in common."""
        return list(whole[self.number :: self.count])
