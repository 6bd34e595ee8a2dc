"""Which hyperparameters a search may try: read from a file, drawn for a trial, or enumerated as a grid."""

import math
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from itertools import product
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import yaml

from darts_utils.canonical import canonical
from darts_utils.errors import ConfigError, one_line
from darts_utils.text import read_text

type Plain = bool | int | float | str | None
"""What Optuna keeps as a choice."""
_KEY = "hyperparameters"


class Trial(Protocol):
    """What draws values, such as a trial of Optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number within bounds."""
        ...

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return a whole number within bounds, which count."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Plain]) -> Plain:
        """Return one of some values."""
        ...


class Distribution(Protocol):
    """What values a hyperparameter may have."""

    kind: ClassVar[str]

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Self:
        """Return the distribution that a table describes; errors name the hyperparameter."""
        ...

    def draw(self, name: str, trial: Trial) -> Any:
        """Return a value for a trial."""
        ...

    def grid(self) -> Mapping[Plain, Any] | None:
        """Return all values by what Optuna keeps of each; None if there is no end of them."""
        ...


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """Any number between two, each as likely."""

    kind: ClassVar[str] = "uniform"
    low: float
    high: float

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Self:
        """Return the distribution between `low` and `high`."""
        low, high = (_number(name, key, given[key]) for key in ("low", "high"))
        _check_order(name, low, high)
        return cls(low=low, high=high)

    def draw(self, name: str, trial: Trial) -> float:
        """Return a number between both."""
        return trial.suggest_float(name, self.low, self.high)

    def grid(self) -> None:
        """Return None: there is no end of them."""
        return


@dataclass(frozen=True, kw_only=True)
class LogUniform(Uniform):
    """Any number between two above 0, each order of magnitude as likely."""

    kind: ClassVar[str] = "loguniform"

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Self:
        """Return the distribution between `low` and `high`."""
        made = super().of(name, given)
        if made.low <= 0:
            raise ConfigError(
                f"hyperparameter {name}: low is {made.low:g} but must be above 0 for loguniform. Raise it."
            )
        return made

    def draw(self, name: str, trial: Trial) -> float:
        """Return a number between both."""
        return trial.suggest_float(name, self.low, self.high, log=True)


@dataclass(frozen=True, kw_only=True)
class IntUniform:
    """Any whole number from one to another, both included."""

    kind: ClassVar[str] = "intuniform"
    low: int
    high: int

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Self:
        """Return the distribution from `low` to `high`."""
        numbers = [_number(name, key, given[key]) for key in ("low", "high")]
        for key, number in zip(("low", "high"), numbers, strict=True):
            if not number.is_integer():
                raise ConfigError(f"hyperparameter {name}: {key} is {number:g} but must be a whole number. Correct it.")
        low, high = map(int, numbers)
        _check_order(name, low, high)
        return cls(low=low, high=high)

    def draw(self, name: str, trial: Trial) -> int:
        """Return a whole number from one to the other."""
        return trial.suggest_int(name, self.low, self.high)

    def grid(self) -> Mapping[Plain, int]:
        """Return all of them."""
        return {value: value for value in range(self.low, self.high + 1)}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values."""

    kind: ClassVar[str] = "choice"
    choices: tuple[Any, ...]

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Self:
        """Return the distribution over a list `choices`."""
        choices = given["choices"]
        if not isinstance(choices, list | tuple) or not choices:
            raise ConfigError(f"hyperparameter {name}: choices is {choices!r} but must be a list of values. Add some.")
        made = cls(choices=tuple(choices))
        try:
            n_values = len(made.grid())
        except (TypeError, ValueError) as error:
            raise ConfigError(f"hyperparameter {name}: a choice is no plain value ({error}). Correct it.") from error
        if n_values < len(choices):
            raise ConfigError(f"hyperparameter {name}: a value is twice among the choices {choices}. Remove one.")
        return made

    def draw(self, name: str, trial: Trial) -> Any:
        """Return one of the values."""
        by_label = self.grid()
        return by_label[trial.suggest_categorical(name, list(by_label))]

    def grid(self) -> Mapping[Plain, Any]:
        """Return all values; a list or table goes by its JSON, because Optuna keeps none."""
        return {_label(value): value for value in self.choices}


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Always the same value, of whatever kind."""

    kind: ClassVar[str] = "constant"
    value: Any

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Self:  # noqa: ARG003  (nothing about a value can be wrong)
        """Return the distribution of one `value`."""
        return cls(value=given["value"])

    def draw(self, name: str, trial: Trial) -> Any:  # noqa: ARG002  (it is the same for every trial)
        """Return the value."""
        return self.value

    def grid(self) -> Mapping[Plain, Any]:
        """Return the one value."""
        return {None: self.value}  # nobody asks Optuna for it


DISTRIBUTIONS: Mapping[str, type[Distribution]] = {
    made.kind: made for made in (Uniform, LogUniform, IntUniform, Choice, Constant)
}


def parse_hyperparameters(mapping: Mapping[str, Any], known: Collection[str] | None = None) -> dict[str, Distribution]:
    """Return the distribution of each hyperparameter.

    A table says `distribution` (uniform, loguniform, intuniform, choice, constant) and its numbers (`low` and `high`,
    both included for intuniform; `choices`; `value`). A table of `low` and `high` alone is uniform, a list is a choice,
    anything else a constant. A list as the one value of a hyperparameter is a constant with that `value`.

    Args:
        mapping: What stands under `hyperparameters`.
        known: Names that hyperparameters may have, None for any.

    Raises:
        ConfigError: If a name is unknown or a distribution illegal; it names the hyperparameter.
    """
    if known is not None:
        _check_names(mapping, known)
    return {str(name): _distribution(str(name), given) for name, given in mapping.items()}


def read_hyperparameters(path: Path, known: Collection[str] | None = None) -> dict[str, Distribution]:
    """Return the distributions of a YAML or TOML file, from its table `hyperparameters`.

    Numbers such as 1e-5, which older YAML takes for text, are numbers.

    Args:
        path: A file that ends in `.toml`, `.yaml` or `.yml`.
        known: Names that hyperparameters may have, None for any.

    Raises:
        ConfigError: If the file cannot be read or has no such table, or something in it is illegal.
    """
    suffix = path.suffix.lower()
    if suffix not in (".toml", ".yaml", ".yml"):
        raise ConfigError(f"{path} must be a file of TOML (.toml) or YAML (.yaml, .yml). Rename it.")
    try:
        text = read_text(path)
        content = tomllib.loads(text) if suffix == ".toml" else yaml.load(text, _Yaml)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = one_line(error)
        raise ConfigError(f"{path} cannot be read as {suffix[1:].upper()}: {reason}") from error
    table = content.get(_KEY) if isinstance(content, dict) else None
    if not isinstance(table, dict) or not table:
        raise ConfigError(f"{path} has no table {_KEY}. Put the hyperparameters under that key.")
    return parse_hyperparameters(table, known)


def sample(space: Mapping[str, Distribution], trial: Trial) -> dict[str, Any]:
    """Return a value for each hyperparameter, drawn for a trial."""
    return {name: distribution.draw(name, trial) for name, distribution in space.items()}


def grid_values(space: Mapping[str, Distribution]) -> dict[str, list[Plain]]:
    """Return what Optuna's grid sampler needs: by name the values, as Optuna keeps them, without constants.

    Raises:
        ConfigError: If a hyperparameter has no end of values.
    """
    varied = {name: values for name, values in _grids(space).items() if not isinstance(space[name], Constant)}
    return {name: list(values) for name, values in varied.items()}


def grid(space: Mapping[str, Distribution]) -> Iterator[dict[str, Any]]:
    """Yield every combination of values, the last hyperparameter changing fastest.

    Raises:
        ConfigError: If a hyperparameter has no end of values.
    """
    grids = _grids(space)
    return (dict(zip(grids, values, strict=True)) for values in product(*(some.values() for some in grids.values())))


def _grids(space: Mapping[str, Distribution]) -> dict[str, Mapping[Plain, Any]]:
    grids = {name: distribution.grid() for name, distribution in space.items()}
    for name, values in grids.items():
        if values is None:
            raise ConfigError(
                f"hyperparameter {name} is {space[name].kind}, which a grid cannot enumerate. Make it a list of "
                "values, or give a number of trials."
            )
    return {name: values for name, values in grids.items() if values is not None}


def _check_names(names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            like = get_close_matches(str(name), known, n=1)
            hint = f"Did you mean {like[0]}?" if like else f"There are {', '.join(sorted(known))}."
            raise ConfigError(f"there is no hyperparameter {name}. {hint}")


def _distribution(name: str, given: Any) -> Distribution:
    if isinstance(given, list | tuple):
        return Choice.of(name, {"choices": given})
    if not isinstance(given, Mapping):
        return Constant(value=given)
    described = dict(given)
    kind = described.pop("distribution", "uniform" if set(given) == {"low", "high"} else None)
    if kind is None:
        raise ConfigError(f"hyperparameter {name} says no distribution. Add one of {', '.join(DISTRIBUTIONS)}.")
    if kind not in DISTRIBUTIONS:
        like = get_close_matches(str(kind), DISTRIBUTIONS, n=1)
        hint = f"Did you mean {like[0]}?" if like else "Correct it."
        raise ConfigError(f"hyperparameter {name}: distribution is {kind} but must be {_listed(DISTRIBUTIONS)}. {hint}")
    made = DISTRIBUTIONS[kind]
    needed = [field.name for field in fields(made)]  # type: ignore[arg-type]  # all of them are dataclasses
    if set(described) != set(needed):
        raise ConfigError(
            f"hyperparameter {name}: {kind} has {_listed(sorted(described)) or 'nothing'} but needs "
            f"{_listed(needed)}. Correct it."
        )
    return made.of(name, described)


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ConfigError(f"hyperparameter {name}: {key} is {value!r} but must be a finite number. Correct it.")
    return float(value)


def _check_order(name: str, low: float, high: float) -> None:
    if not low < high:
        raise ConfigError(f"hyperparameter {name}: low is {low:g} but must be below high ({high:g}). Correct them.")


def _label(value: Any) -> Plain:
    """Return what Optuna keeps of a value."""
    return value if value is None or isinstance(value, bool | int | float | str) else canonical(value).decode()


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(str, names))


class _Yaml(yaml.SafeLoader):
    """YAML whose numbers are those of version 1.2 and of JSON: 1e-5 is one."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
