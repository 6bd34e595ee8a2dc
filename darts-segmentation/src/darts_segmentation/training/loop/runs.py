"""Folders of runs: a name that is unfinished goes on, a finished one gets a new id."""

import os
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from glob import escape
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from darts_segmentation.training.parameters import NOT_DECISIVE
from darts_utils.errors import ConfigError, DataError, one_line
from darts_utils.files import atomic_file, exclusive_lock, make_folder

RUNS, CROSS_VALIDATIONS = "_runs", "_cross_validations"
"""Folders among the artifacts."""
_PARAMETERS = "hparams.yaml"
_WAIT_S = 120
_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run."""

    folder: Path
    name: str

    @property
    def run_id(self) -> str:
        """What tells it from other runs of its name."""
        return self.folder.name.removeprefix(f"{self.name}-")

    @property
    def model(self) -> Path:
        """Its model, which is written last."""
        return self.folder / f"{self.name}.safetensors"

    @property
    def is_finished(self) -> bool:
        """Whether all of it is there."""
        return self.model.is_file()

    @property
    def checkpoints(self) -> Path:
        """Folder of its checkpoints."""
        return self.folder / "checkpoints"

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch that has ended."""
        return self.checkpoints / "last.ckpt"

    @property
    def ended(self) -> Path:
        """Marks that it has learned all that it will, whatever became of its model."""
        return self.folder / ".ended"

    @property
    def has_learned(self) -> bool:
        """Whether only its model is missing; without its checkpoint or its table it learns anew."""
        return all(file.is_file() for file in (self.ended, self.last, self.metrics))

    @property
    def metrics(self) -> Path:
        """Table of its metrics."""
        return self.folder / "metrics.csv"

    @property
    def figures(self) -> Path:
        """Folder of its pictures."""
        return self.folder / "figures"

    def parameters(self) -> dict[str, Any]:
        """Return what it was begun with.

        Raises:
            DataError: If that cannot be read.
        """
        try:
            content = yaml.safe_load((self.folder / _PARAMETERS).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise DataError(
                f"{self.folder / _PARAMETERS} cannot be read ({one_line(error, 120)}). "
                "Delete the folder of the run, or give another --name."
            ) from error
        return content if isinstance(content, dict) else {}

    def write_parameters(self, content: Mapping[str, Any]) -> None:
        """Write down what it is begun with."""
        with atomic_file(self.folder / _PARAMETERS) as part:
            part.write_text(yaml.safe_dump(dict(content), sort_keys=True, allow_unicode=True), encoding="utf-8")

    def held(self) -> AbstractContextManager[None]:
        """Return a context in which no other run works in the folder; processes that train together do."""
        if rank():
            return nullcontext()
        return exclusive_lock(self.folder / ".lock", timeout_s=0)


def rank() -> int:
    """Return the number of this process among those that train together; the first is 0."""
    return int(getattr(rank_zero_only, "rank", 0) or 0)


def decisive(parameters: Any) -> dict[str, Any]:
    """Return the parameters on which depends what is learned, as plain values."""
    values = {field.name: getattr(parameters, field.name) for field in fields(parameters)}
    chosen = {name: plain(value) for name, value in values.items() if name not in NOT_DECISIVE}
    return {**chosen, "augment": list(parameters.augmentations)}


def plain(value: Any) -> Any:
    """Return a value as YAML and JSON have it."""
    if isinstance(value, Path):
        return str(value.absolute())
    return list(value) if isinstance(value, tuple) else value


def find_runs(parent: Path, name: str) -> list[RunFolder]:
    """Return the runs of a name, the oldest first."""
    folders = [path for path in parent.glob(f"{escape(name)}-*") if _ID.fullmatch(path.name.removeprefix(f"{name}-"))]
    begun = [path for path in folders if (path / _PARAMETERS).is_file()]
    return [RunFolder(path, name) for path in sorted(begun, key=lambda path: (path / _PARAMETERS).stat().st_mtime_ns)]


def find_run_of(checkpoint: Path) -> RunFolder | None:
    """Return the run that a checkpoint lies in, None if it was taken out of its folder."""
    folder = checkpoint.absolute().parent.parent
    name, _, run_id = folder.name.rpartition("-")
    return RunFolder(folder, name) if _ID.fullmatch(run_id) and (folder / _PARAMETERS).is_file() else None


def open_run(parent: Path, name: str, decides: Mapping[str, Any], described: Mapping[str, Any]) -> RunFolder:
    """Return the folder of an unfinished run that is to go on, or of a new one.

    Args:
        parent: Folder of runs.
        name: Name of the run.
        decides: All on which depends what is learned.
        described: What else is worth writing down.

    Raises:
        ConfigError: If there is an unfinished one that was begun otherwise.
    """
    begun = _unfinished(parent, name)
    if begun is not None:
        _check_same(begun, decides)
        return begun
    run = RunFolder(parent / f"{name}-{os.urandom(4).hex()}", name)
    make_folder(run.folder)
    run.write_parameters({"parameters": dict(decides), **described})
    return run


def _unfinished(parent: Path, name: str) -> RunFolder | None:
    """Return the run that goes on; processes that train together wait for what the first of them begins."""
    give_up = time.monotonic() + (_WAIT_S if rank() else 0)
    while True:
        found = [run for run in find_runs(parent, name) if not run.is_finished]
        if found or time.monotonic() > give_up:
            return found[-1] if found else None
        time.sleep(0.2)


def _check_same(run: RunFolder, decides: Mapping[str, Any]) -> None:
    begun = run.parameters().get("parameters") or {}
    names = sorted(name for name in {*begun, *decides} if begun.get(name) != decides.get(name))
    if names:
        differing = ", ".join(f"{name} {begun.get(name)} (now {decides.get(name)})" for name in names)
        raise ConfigError(
            f"the run {run.folder.name} is unfinished and was begun with {differing}. Give the same to go on, "
            "another --name to begin anew, or delete its folder."
        )
