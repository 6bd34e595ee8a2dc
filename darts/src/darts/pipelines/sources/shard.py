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
        names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "STEP", "COUNT")]
        given = {name: environment.get(name, "") for name in names}
        wrong = [name for name, text in given.items() if not (text.isascii() and text.isdigit())]
        if wrong:
            told = ", ".join(f"{name} is {given[name]!r}" if given[name] else f"{name} is not set" for name in wrong)
            raise ConfigError(
                f"shard is slurm, but this is no task of a job array: {told}. Start it with `sbatch --array`, or name "
                "a part such as 2/4."
            )
        task, first, last, step, count = (int(text) for text in given.values())
        number, rest = divmod(task - first, max(step, 1))
        if rest or not first <= task <= last or (last - first) // max(step, 1) + 1 != count:
            raise ConfigError(
                f"shard is slurm, but the tasks of this job array are not evenly spaced (task {task} of {count} from "
                f"{first} to {last}), so nobody can tell which part each takes. Name the part, such as 2/4."
            )
        return cls(number, count)

    def __str__(self) -> str:
        """Return it as a user names it."""
        return f"{self.number + 1}/{self.count}"

    def part[T](self, whole: Sequence[T]) -> list[T]:
        """Return this part of a list; the parts of all numbers are all of it, and have nothing in common."""
        return list(whole[self.number :: self.count])
