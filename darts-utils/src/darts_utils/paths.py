"""Where data lies by default; reading a default never creates a folder."""

import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from darts_utils.errors import ConfigError

logger = logging.getLogger(__name__)

_VARIABLE = re.compile(r"\$\{[^}]*\}?")


def user_path(given: str | os.PathLike[str]) -> Path:
    """Return a path as a user wrote it, with `~`, `${VARIABLE}` and, where it is set, `$VARIABLE` replaced.

    No shell does that for config files, for quoted arguments, and for the environment of many job systems.

    Raises:
        ConfigError: If a `${VARIABLE}` is not set, or there is no such user; else a folder of that name would be made.
            Or if its bytes are no text, which no config file and no record could name.
    """
    expanded = os.path.expandvars(os.fspath(given))
    if not _is_text(expanded):
        raise ConfigError(f"the path {expanded!a} holds bytes that are no UTF-8 text. Rename it.")
    if (unset := _VARIABLE.search(expanded)) is not None:
        raise ConfigError(f"the path {given} names {unset[0]}, which is not set. Set it, or write the path out.")
    try:
        return Path(expanded).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"the path {given} names the home of a user that is not known. Write it out.") from error


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def settle_paths(parameters: Any) -> None:
    """Make paths, as users write them, of the texts in the fields of a frozen dataclass that are declared as paths.

    Raises:
        ConfigError: If one cannot be resolved; see `user_path`.
    """
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        if value is not None and _is_path(field.type):
            several = isinstance(value, Iterable) and not isinstance(value, str | os.PathLike)
            settled = [user_path(item) for item in value] if several else user_path(value)
            object.__setattr__(parameters, field.name, settled)


def _is_path(declared: Any) -> bool:
    return declared is Path or any(_is_path(part) for part in get_args(declared))


def visible_files(folder: Path, *suffixes: str) -> list[Path]:
    """Return the files with one of some suffixes in a folder by name, in whatever case; none if it is not there.

    Hidden files are none: a Mac leaves a `._name` beside each file that it copies to a disk that is not its own. A link
    to a file that is gone counts, so that whoever opens it says so, and nothing goes on without it unawares.
    """
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return sorted(path for path in files if not path.is_dir())


def visible_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder by name, linked ones too, without hidden ones; none if it is not there.

    A link to what is gone counts, as a disk that is not mounted, so that whoever reads it says so.
    """
    if not folder.is_dir():
        return []
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in visible if path.is_dir() or (path.is_symlink() and not path.exists()))


@dataclass(frozen=True, kw_only=True)
class DefaultPaths:
    """Base folders as a user gives them; what is not given is taken from the environment, else the working folder."""

    workdir: Path | None = None
    """Folder for all data, where everything lies on one disk: fast_dir and large_dir, unless they are given."""
    fast_dir: Path | None = None
    """Folder on a fast disk, for training data and models. Environment: DARTS_FAST_DATA_DIR, DARTS_DATA_DIR."""
    large_dir: Path | None = None
    """Folder on a large disk, for everything else. Environment: DARTS_LARGE_DATA_DIR, DARTS_DATA_DIR."""
    training_dir: Path | None = None
    """Training data, `training` on the fast disk by default."""
    models_dir: Path | None = None
    """Model checkpoints, `models` on the fast disk by default."""
    aux_dir: Path | None = None
    """Auxiliary data such as datacubes, `aux` on the large disk by default."""
    artifacts_dir: Path | None = None
    """Artifacts of training runs, `artifacts` on the large disk by default."""
    cache_dir: Path | None = None
    """Caches of compiled code and of features for training data, if given; `cache` on the large disk by default."""
    logs_dir: Path | None = None
    """Log files, `logs` on the large disk by default."""
    output_dir: Path | None = None
    """Results, `output` on the large disk by default."""
    input_dir: Path | None = None
    """Input scenes, `input` on the large disk by default."""
    archive_dir: Path | None = None
    """Archived data, `archive` on the large disk by default."""

    def __post_init__(self) -> None:
        """Resolve what users write into paths; doing it again changes nothing."""
        settle_paths(self)


def _from_environment(*names: str) -> Path:
    for name in names:
        if os.environ.get(name):
            return user_path(os.environ[name])
    return Path.cwd()


class PathManager:
    """Resolves every default location from `DefaultPaths`, the environment and the working folder, in that order."""

    def __init__(self, defaults: DefaultPaths | None = None) -> None:
        self._defaults = DefaultPaths() if defaults is None else defaults

    def set_defaults(self, defaults: DefaultPaths) -> None:
        """Replace the base folders."""
        self._defaults = defaults

    def _folder(self, name: str, base: Path) -> Path:
        given = getattr(self._defaults, f"{name}_dir")
        return base / name if given is None else Path(given)

    @property
    def fast(self) -> Path:
        """Base folder on the fast disk."""
        given = self._defaults.fast_dir or self._defaults.workdir
        return _from_environment("DARTS_FAST_DATA_DIR", "DARTS_DATA_DIR") if given is None else Path(given)

    @property
    def large(self) -> Path:
        """Base folder on the large disk."""
        given = self._defaults.large_dir or self._defaults.workdir
        return _from_environment("DARTS_LARGE_DATA_DIR", "DARTS_DATA_DIR") if given is None else Path(given)

    @property
    def training(self) -> Path:
        """Folder of the training data."""
        return self._folder("training", self.fast)

    @property
    def models(self) -> Path:
        """Folder of the model checkpoints."""
        return self._folder("models", self.fast)

    def model_files(self) -> list[Path]:
        """Return the models in their folder, `*.safetensors` and `*.pt`, by name; of one stem the former wins.

        A checkpoint that was converted stays beside what it became, and a model must not count twice.
        """
        safe = {file.stem: file for file in visible_files(self.models, ".safetensors")}
        older = {file.stem: file for file in visible_files(self.models, ".pt")}
        twice = sorted(safe.keys() & older.keys())
        if twice:
            logger.info("of models that are there as .safetensors and .pt the former are used: %s", ", ".join(twice))
        return sorted((older | safe).values())

    @property
    def aux(self) -> Path:
        """Folder of the auxiliary data."""
        return self._folder("aux", self.large)

    @property
    def artifacts(self) -> Path:
        """Folder of training artifacts."""
        return self._folder("artifacts", self.large)

    @property
    def cache(self) -> Path:
        """Folder of the caches."""
        return self._folder("cache", self.large)

    @property
    def logs(self) -> Path:
        """Folder of the log files."""
        return self._folder("logs", self.large)

    @property
    def output(self) -> Path:
        """Folder of the results."""
        return self._folder("output", self.large)

    @property
    def input(self) -> Path:
        """Folder of the input scenes."""
        return self._folder("input", self.large)

    @property
    def archive(self) -> Path:
        """Folder of archived data."""
        return self._folder("archive", self.large)

    def arcticdem(self, resolution_m: int) -> Path:
        """Return where the ArcticDEM datacube of a resolution lies."""
        return self.aux / f"arcticdem_{resolution_m}m.icechunk"

    @property
    def tcvis(self) -> Path:
        """Where the TCVIS datacube lies."""
        return self.aux / "tcvis.icechunk"

    @property
    def admin_boundaries(self) -> Path:
        """Folder of the administrative boundaries."""
        return self.aux / "admin_boundaries"

    @property
    def planet_orthotiles(self) -> Path:
        """Folder of PlanetScope orthotiles."""
        return self.input / "planet" / "tiles"

    @property
    def planet_scenes(self) -> Path:
        """Folder of PlanetScope scenes."""
        return self.input / "planet" / "scenes"

    @property
    def sentinel2_grid(self) -> Path:
        """Folder of the Sentinel-2 tiling grid."""
        return self.input / "sentinel2" / "grid"

    def sentinel2_raw_data(self, source: str) -> Path:
        """Return the raw scene store of a Sentinel-2 source, such as `cdse`."""
        return self.input / "sentinel2" / f"{source}-scenes"

    def train_data(self, pipeline: str, patch_size: int) -> Path:
        """Return the training-data folder of a pipeline and patch size."""
        return self.training / f"{pipeline}_{patch_size}"

    def output_data(self, pipeline: str) -> Path:
        """Return the results folder of a pipeline."""
        return self.output / pipeline

    def all_paths(self) -> dict[str, Path]:
        """Return every base folder by name."""
        names = [field.name.removesuffix("_dir") for field in fields(DefaultPaths) if field.name.endswith("_dir")]
        return {name: getattr(self, name) for name in names}

    def log_all_paths(self, level: int = logging.DEBUG) -> None:
        """Log every base folder."""
        for name, path in self.all_paths().items():
            logger.log(level, "%s: %s", name, path)


paths = PathManager()
"""The locations that scripts use; pipelines make their own from their parameters, so two runs never share them."""
