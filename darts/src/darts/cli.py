"""The command tree of `darts`. Nothing heavy is imported here: a command imports what it needs when it runs."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from darts import __version__
from darts.command_line.commands import asks_for_help, refused_command, refused_option, typed, usual_tokens
from darts.command_line.examples import with_examples
from darts.command_line.helping import PlainHelp
from darts.command_line.refusals import refusal
from darts.command_line.tree import (  # two of them only for those who import them from here
    COMMANDS,
    ray_group,  # noqa: F401
    sequential_group,  # noqa: F401
    subcommands_group,
    utilities_group,
)
from darts.config.setting import settings
from darts.logs.opening import base_folders, open_log
from darts.logs.saying import said, say_error, unforeseen
from darts.pipelines.interrupts import ending_signals
from darts.pipelines.sources.parameters import SCENE_SELECTORS
from darts.utils.bench import benchviz as _benchviz
from darts.utils.bench import newest_timers
from darts.utils.config import config_parser
from darts.utils.later import imported_later
from darts.utils.logging import LoggingManager, VerbosityLevel
from darts.utils.streams import keep_streams
from darts.utils.terminal import output_console
from darts_utils.errors import ConfigError, DartsError
from darts_utils.paths import user_path

logger = logging.getLogger(__name__)

_IMPORTED_WHEN_ASKED_FOR = {
    "ConfigParser": "darts.utils.config",
    "PipelineV2Paths": "darts.pipelines.paths",
    "PlanetPipeline": "darts.pipelines.planet",
    "PlanetRayPipeline": "darts.pipelines.ray.pipelines",
    "Sentinel2Pipeline": "darts.pipelines.sentinel2",
    "Sentinel2RayPipeline": "darts.pipelines.ray.pipelines",
    "debug_default_paths": "darts.pipelines.paths",
    "env_info": "darts.environment.commands",
    "preprocess_planet_train_data": "darts.training",
    "preprocess_planet_train_data_pingo": "darts.training",
    "preprocess_s2_train_data": "darts.training",
}
"""Public names of this module that would make every start dearer."""

root_file = Path(__file__).resolve()
config_parser.exclusive = (*SCENE_SELECTORS, "aoi_shapefile")

app = cyclopts.App(
    name="darts",
    version=__version__,
    version_flags=("--version", "-V"),
    help="Map retrogressive thaw slumps from satellite images.",
    config=config_parser,
    default_parameter=Parameter(consume_multiple=True, negative_iterable=()),
    help_format="markdown",
    help_formatter=PlainHelp(),
    version_format="plaintext",
)
config_parser.root_app = app
_every_command = cyclopts.Group("Options of every command", sort_key=1_000)
map_app = cyclopts.App(name="map", group=subcommands_group, help="Map slumps in satellite images")
app.command(map_app)
fetch_app = cyclopts.App(name="fetch", group=subcommands_group, help="Fetch what maps need, for runs without network")
app.command(fetch_app)
search_app = cyclopts.App(name="search", group=subcommands_group, help="Find scenes; nothing is fetched")
app.command(search_app)
composite_app = cyclopts.App(name="composite", group=subcommands_group, help="Make cloud-free scenes of many")
app.command(composite_app)
inference_app = cyclopts.App(name="inference", group=subcommands_group, help="Predefined inference pipelines")
app.command(inference_app)
inference_data_app = cyclopts.App(name="prep-data", group=utilities_group, help="Data preparation for offline use")
app.command(inference_data_app)
inference_app.command(inference_data_app)
training_app = cyclopts.App(name="training", group=subcommands_group, help="Predefined training pipelines")
app.command(training_app)
training_data_app = cyclopts.App(name="create-dataset", help="Dataset creation")
training_app.command(training_data_app)
models_app = cyclopts.App(name="models", group=subcommands_group, help="Model files", config=config_parser.folders_only)
app.command(models_app)
inventory_app = cyclopts.App(
    name="inventory",
    group=subcommands_group,
    help="From tiles to slumps over years",
    config=config_parser.folders_only,
)
app.command(inventory_app)
config_app = cyclopts.App(
    name="config",
    group=utilities_group,
    help="What config files say, and what is wrong with them",
    config=config_parser.nothing,
)
app.command(config_app)
app.register_install_completion_command(group=utilities_group)


__getattr__ = imported_later(__name__, _IMPORTED_WHEN_ASKED_FOR)


@app.command(group=utilities_group)
def hello(name: str, *, n: int = 1) -> None:
    """Say hello to someone.

    Args:
        name: Whom to greet.
        n: How often.

    Raises:
        ConfigError: If n is negative.
    """
    if n < 0:
        raise ConfigError(f"n is {n} but must not be negative. Use 0 or more.")
    for _ in range(n):
        output_console().print(f"Hello {name}", highlight=False)


@app.command(group=utilities_group)
def shell() -> int:
    """Open an interactive shell, in which commands are typed without `darts`; the last failure is its exit status."""
    from darts.utils.shell import run_lines

    return run_lines(_run)


@app.command(name="help", group=utilities_group)
def help() -> None:  # noqa: A001  (the documented name of the command)
    """Display the help screen."""
    app.help_print([])


_GROUPS = {
    "": app, "map": map_app, "fetch": fetch_app, "search": search_app, "composite": composite_app,
    "inference": inference_app,
    "prep-data": inference_data_app, "training": training_app, "create-dataset": training_data_app,
    "models": models_app, "inventory": inventory_app, "config": config_app,
}  # fmt: skip
for _group, _commands in COMMANDS.items():
    for _command in _commands:
        _more: dict[str, Any] = {} if _command.group is None else {"group": _command.group}
        _more |= {"config": config_parser.folders_only} if _command.folders_only else {}
        _GROUPS[_group].command(_command.function, name=_command.names, help=_command.help, **_more)


@inference_app.command(group=utilities_group)
def benchviz(stopuhr_data: Path, *, viz_dir: Path | None = None) -> None:
    """Draw how long each stage of a run took and when it worked, as PNG.

    Args:
        stopuhr_data: The `{time}.timer.parquet` (or `.stopwatch.parquet`) of a run, or its results folder.
        viz_dir: Folder for the picture, that of the timer file if not given.
    """
    stopuhr_data, viz_dir = user_path(stopuhr_data), None if viz_dir is None else user_path(viz_dir)
    stopuhr_data = newest_timers(stopuhr_data)
    _benchviz(stopuhr_data, viz_dir=viz_dir)
    picture = (stopuhr_data.parent if viz_dir is None else viz_dir) / f"{stopuhr_data.stem}.png"
    output_console().print(f"Picture: {picture}", highlight=False, soft_wrap=True)


@app.meta.default
def launcher(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    log_dir: Annotated[Path | None, Parameter(group=_every_command)] = None,
    config_file: Annotated[Path, Parameter(group=_every_command)] = Path("config.toml"),
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=(), group=_every_command)] = False,
    very_verbose: Annotated[bool, Parameter(name=["--very-verbose", "-vv"], negative=(), group=_every_command)] = False,
    debug: Annotated[bool, Parameter(name=["--debug", "-vvv"], negative=(), group=_every_command)] = False,
    log_plain: Annotated[bool, Parameter(negative=(), group=_every_command)] = False,
    set_keys: Annotated[
        list[str] | None,
        Parameter(name="--set", negative=(), consume_multiple=False, allow_leading_hyphen=True, group=_every_command),
    ] = None,
    strict_config: Annotated[bool, Parameter(negative=(), group=_every_command)] = False,
    log_json: Annotated[bool, Parameter(negative=(), group=_every_command)] = False,
    keep_logs: Annotated[int | None, Parameter(group=_every_command)] = None,
) -> int:
    """Map retrogressive thaw slumps from satellite images.

    Args:
        tokens: The command and its arguments.
        log_dir: Folder for the log file, that of --logs-dir if not given.
        config_file: TOML file with parameters under [darts].
        verbose: Show decisions too, and a line for each image.
        very_verbose: Show each step, details and tracebacks.
        debug: Show details of the libraries too.
        log_plain: Write plain lines, without colours and progress bar.
        set_keys: A key and its value, `overlap=128`, as in the config file, over which it wins; may be repeated.
        strict_config: Refuse keys of the config file that no command knows, instead of reporting them.
        log_json: Write messages, and what a run shows as it goes, as JSON, an object a line.
        keep_logs: Days after which log files are removed that no run writes to any more, 30 if not given; 0 keeps all.

    Returns:
        The exit status: 0 done, 1 something failed, 2 wrong usage or configuration, 3 only services did not answer, 130
        interrupted.
    """
    verbosity = VerbosityLevel.from_cli(verbose, very_verbose, debug)
    LoggingManager.setup_logging(verbosity, log_plain=log_plain, log_json=log_json)
    log_file: Path | None = None
    try:
        config_parser.name_config(config_file, settings(set_keys or ()), strict=strict_config)
        command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
        folders = base_folders(bound.kwargs)
        log_file = open_log(getattr(command, "__name__", "darts"), tokens, log_dir, folders, keep_logs)
        if folders.cache_dir is not None:  # read when the first function is compiled
            os.environ.setdefault("NUMBA_CACHE_DIR", str(folders.cache_dir / "compiled"))
        return _exit_code(command(*bound.args, **bound.kwargs))
    except cyclopts.CycloptsError as error:
        say_error(refused_command(app, tokens) or refused_option(tokens) or refusal(error))
        return 2
    except (DartsError, OSError) as error:
        logger.debug("the command failed", exc_info=True)
        say_error(said(error))
        return getattr(error, "exit_code", 1)
    except KeyboardInterrupt:
        say_error("Interrupted.", kind="")
        return 130
    except Exception as error:  # noqa: BLE001  (the last resort: a user never sees a traceback unasked)
        return unforeseen(error, log_file or LoggingManager.add_log_file(log_dir or Path("logs"), "darts"))


def _exit_code(result: Any) -> int:
    """Return the exit status of what a command returned: the status itself, or a report that knows it."""
    return result if isinstance(result, int) else int(getattr(result, "exit_code", 0))


def _interrupt(signal_number: int, frame: Any) -> None:  # noqa: ARG001  (the signature of a signal handler)
    raise KeyboardInterrupt


def _run(tokens: list[str]) -> int:
    """Run what was typed; return the exit status."""
    if asks_for_help(tokens):
        if refused := refused_command(app, tokens):
            say_error(refused)
            return 2
        with_examples(app, tokens)
    typed.set(tokens)
    try:
        return app.meta(tokens, result_action="return_value", exit_on_error=False, print_error=False) or 0
    except cyclopts.CycloptsError as error:  # of the options of every command, or of help
        say_error(refusal(error))
        return 2


def start_app() -> None:
    """Run the command line, as the `darts` script does."""
    keep_streams()
    logging.raiseExceptions = False  # a log that cannot be written is said once, and not by tracebacks
    for number in ending_signals():  # a scheduler or a terminal ends a job with them: leave as cleanly as on Ctrl-C
        signal.signal(number, _interrupt)
    code = _run(usual_tokens(sys.argv[1:]))
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    # Everything is on disk. A worker may be inside a long computation that Python cannot end, and threads of native
    # libraries now and then abort a process that ends in Python's own way, which would hide the exit status.
    os._exit(code)


if __name__ == "__main__":
    start_app()
