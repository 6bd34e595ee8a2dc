"""The command about this machine."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from darts.environment.check import Check
from darts.utils import cuda
from darts.utils.terminal import output_console, say
from darts_utils.paths import DefaultPaths, PathManager


@dataclass(frozen=True)
class EnvironmentReport:
    """What is on this machine."""

    environment: dict[str, str]
    checks: tuple[Check, ...] = ()
    """Empty if nothing was checked."""

    @property
    def exit_code(self) -> int:
        """Exit status for the shell: 0 if nothing fails, else 1."""
        return int(any(check.state == "fails" for check in self.checks))

    @property
    def document(self) -> dict[str, Any]:
        """It, for other programs."""
        checks = {"checks": [check.document for check in self.checks]} if self.checks else {}
        return {"environment": self.environment, **checks}


def env_info(
    *,
    check: Annotated[bool, Parameter(negative=())] = False,
    offline: bool = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    default_dirs: Annotated[DefaultPaths | None, Parameter(name="*")] = None,
) -> EnvironmentReport:
    """Print versions, processors and GPUs that a run would use.

    Args:
        check: Also say what would be slow or fail on this machine, and what to do; the exit status is 1 if something
            would fail. Nobody on the network is asked.
        offline: Check what offline runs need, which is no account.
        as_json: Print it as JSON.
        default_dirs: Base folders of all default locations.
    """
    environment = dict(cuda.environment())
    found = tuple(_checks(PathManager(default_dirs), offline=offline)) if check else ()
    report = EnvironmentReport(environment, found)
    if as_json:
        say(json.dumps(report.document, indent=2, ensure_ascii=False))
        return report
    for line in (*(f"{name}: {value}" for name, value in environment.items()), *(one.line for one in found)):
        output_console().print(line, highlight=False, soft_wrap=True, markup=False)
    return report


def _checks(paths: PathManager, *, offline: bool) -> Iterator[Check]:
    from darts.environment.computing import computing_checks
    from darts.environment.formats import format_checks
    from darts.environment.places import account_checks, disk_checks, folder_checks

    yield from computing_checks(paths.logs)
    yield from format_checks()
    yield from folder_checks(paths)
    yield from disk_checks(paths)
    if not offline:
        yield from account_checks()
