"""What a trial is, and which ones are drawn: number n is always the same family, mutation and seed."""

import os
import zlib
from dataclasses import dataclass, field, replace
from random import Random

VARIABLE = "DARTS_TEST_HOSTILE"
"""Environment variable with the number of trials; `.ci/full hostile` runs more, for all take minutes."""
USUAL = 140
BY_COMMAND, SELDOM_BY_COMMAND = 10, 40
"""Of so many trials one is a command of its own; fewer in the usual run, for each takes ten seconds."""
_SOON_OVER = ("configs", "ids", "vectors")
"""Families whose commands mostly end before torch is imported, which takes seconds; half of all are of them."""


@dataclass(frozen=True, kw_only=True)
class Right:
    """What may become of the spoiled image, and what must be said.

    `sound`: mapped as if nothing were spoiled. `own`: mapped, for what was spoiled is legal and makes another map.
    `failed`: in the record as failed, with a reason. `refused`: the command ends before any image with one line.
    `left out`: not mapped, said in a warning. `kept`: an older result is left alone, which the record and a line say.
    """

    may: frozenset = frozenset({"sound", "failed", "refused"})
    names: tuple = ()
    """One of these must be in the line that refuses or fails."""
    says: tuple = ()
    """One of these must be in the output of a command that did not fail."""
    both: bool = False
    """Whether the neighbour is spoiled too, as by a model or a flag; else it must be mapped soundly or be refused."""
    area: object = None
    """What must be searched for, if anything is: a shape in degrees."""


def may(*ends, names=(), says=(), both=False, area=None):
    """Return what is right in the words of `Right`."""
    names, says = (tuple(map(str, text)) if isinstance(text, tuple) else (str(text),) for text in (names, says))
    return Right(may=frozenset(ends), names=names, says=says, both=both, area=area)


@dataclass(frozen=True)
class Mutation:
    """A named way to spoil a sound world."""

    family: str
    name: str
    kind: str
    """The kind of world."""
    spoil: object
    """Spoils the world with a random generator and returns what is `Right`."""
    in_process: bool = False
    """Whether it cannot be run by command."""


@dataclass
class Family:
    """Collects the mutations of a module."""

    name: str
    kind: str
    mutations: list = field(default_factory=list)

    def __call__(self, spoil=None, *, kind=None, in_process=False):
        def add(function):
            named = Mutation(self.name, function.__name__.strip("_"), kind or self.kind, function, in_process)
            self.mutations.append(named)
            return function

        return add if spoil is None else add(spoil)

    def each(self, variants, *, kind=None, in_process=False):
        """Add a mutation for each of some variants, by name; the function takes the variant third."""

        def add(function):
            for name, variant in variants.items():
                spoil = _with(function, variant)
                full = f"{function.__name__}-{name}"
                self.mutations.append(Mutation(self.name, full, kind or self.kind, spoil, in_process))
            return function

        return add


def _with(function, variant):
    return lambda world, rng: function(world, rng, variant)


@dataclass(frozen=True)
class Trial:
    """One run over a spoiled world."""

    number: int
    mutation: Mutation
    by_command: bool

    @property
    def name(self):
        """Number, family and mutation; `pytest -k 0123` runs one alone."""
        how = "-by-command" if self.by_command else ""
        return f"{self.number:04d}-{self.mutation.family}-{self.mutation.name}{how}"

    def random(self):
        """Return the generator of all its random choices."""
        return Random(zlib.crc32(self.name.encode()))


def draw(families, number_of_trials=None):
    """Return the trials in their order, in which the families take turns.

    First comes each mutation in one of its variants, then their other variants, then all again with other seeds. The
    order within a family is shuffled once, so that the first trials are a fair sample.
    """
    n_trials = int(os.environ.get(VARIABLE) or USUAL) if number_of_trials is None else number_of_trials
    shuffled = []
    for family in families:
        order = list(family.mutations)
        Random(family.name).shuffle(order)
        shuffled += [((place + 0.5) / len(order), family.name, mutation) for place, mutation in enumerate(order)]
    turns = _one_of_each_first([mutation for _, _, mutation in sorted(shuffled, key=lambda entry: entry[:2])])
    drawn = (turns[number % len(turns)] for number in range(n_trials))
    trials = [Trial(number, mutation, by_command=False) for number, mutation in enumerate(drawn)]
    step = BY_COMMAND if n_trials > USUAL else SELDOM_BY_COMMAND
    for start in range(0, n_trials, step):
        chosen = _one_for_a_command(trials[start : start + step], soon_over=start % (2 * step) == 0)
        if chosen is not None:
            trials[chosen.number] = replace(chosen, by_command=True)
    return trials


def _one_of_each_first(mutations):
    firsts = {(mutation.family, mutation.name.partition("-")[0]): mutation for mutation in reversed(mutations)}
    first = [mutation for mutation in mutations if mutation in firsts.values()]
    return [*first, *(mutation for mutation in mutations if mutation not in firsts.values())]


def _one_for_a_command(trials, *, soon_over):
    possible = [trial for trial in trials if not trial.mutation.in_process]
    wanted = [trial for trial in possible if (trial.mutation.family in _SOON_OVER) == soon_over]
    return next(iter([*wanted, *possible]), None)
