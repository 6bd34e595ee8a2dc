"""The commands about model files: each says what it found or wrote."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from darts.models.table import COLUMNS, ID_DIGITS, ensemble_cards, rows_of
from darts.models.words import card_lines, ensemble_lines
from darts.utils.console import show_rows
from darts.utils.terminal import is_plain, output_console, say
from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.ensemble_card import SUFFIX, read_ensemble_card
from darts_segmentation.models.tools.cards import SUFFIXES, card_of
from darts_segmentation.models.tools.statement import Statement
from darts_utils.errors import ConfigError, did_you_mean
from darts_utils.paths import DefaultPaths, PathManager, user_path, visible_files

if TYPE_CHECKING:
    from darts_segmentation.models.tools.pack import Written
    from darts_segmentation.models.tools.verify import Verdict

type Folders = Annotated[DefaultPaths | None, Parameter(name="*")]


def list_models(
    *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False, default_dirs: Folders = None
) -> None:
    """Show what is in the models folder, ensemble cards too; a file that cannot be used is a row with the reason.

    Args:
        as_json: Print it as JSON, a document a file.
        default_dirs: Base folders of all default locations.
    """
    folder = _paths(default_dirs).models
    rows = list(rows_of(folder))
    if as_json:
        say(json.dumps([row.document for row in rows], indent=2, ensure_ascii=False))
        return
    usable = [(row.file.name, *row.cells) for row in rows if row.fault is None]
    broken = [(row.file.name, row.fault) for row in rows if row.fault is not None]
    if not rows:
        say(f"There is no model in {folder}.")
    if usable and is_plain():
        say("; ".join(COLUMNS))
        for cells in usable:
            say("; ".join(cells))
    elif usable:
        show_rows(f"Models in {folder}", COLUMNS, usable)
    if broken:
        show_rows("Files that cannot be used", ("file", "reason"), broken)


def show_model(model: str, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
               default_dirs: Folders = None) -> None:  # fmt: skip
    """Show all that a model, or the ensemble card of several, says of itself.

    Args:
        model: A file, or the name of a model or of an ensemble card in the models folder.
        as_json: Print the card as JSON, as it stands in the file.
        default_dirs: Base folders of all default locations.
    """
    folder = _paths(default_dirs).models
    named = [user_path(model), folder / f"{model}{SUFFIX}"]
    ensemble = next((file for file in named if file.name.endswith(SUFFIX) and file.is_file()), None)
    ensembles = [file.name.removesuffix(SUFFIX) for file in ensemble_cards(folder)]
    file = find_model(model, folder, also=ensembles) if ensemble is None else ensemble
    card = card_of(file) if ensemble is None else read_ensemble_card(file)
    if as_json:
        say(json.dumps(card.to_json(), indent=2, sort_keys=True, ensure_ascii=False))
        return
    show_rows(str(file), ("", ""), card_lines(card) if isinstance(card, ModelCard) else ensemble_lines(card))


def pack_model(
    file: Path,
    *,
    out: Path | None = None,
    stated: Annotated[Statement | None, Parameter(name="*")] = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write an older model as .safetensors, with what you state about it.

    Args:
        file: The older model, `.pt` or `.ckpt`; of a `.safetensors`, what is stated replaces what it says.
        out: The file to write; beside the older one, of its name, if not given.
        stated: What the older file does not say.
        overwrite: Replace a file that is there already.
    """
    from darts_segmentation.models.tools.pack import pack

    written = pack(user_path(file), Statement() if stated is None else stated, _given(out), overwrite=overwrite)
    if written.assumed:
        ranges = ", ".join(f"{band.name} {band.low:g} to {band.high:g}" for band in written.assumed)
        say(f"The older file does not state the ranges of its bands; those of this release were written: {ranges}")
    _say_written(written)


@dataclass(frozen=True)
class VerifyReport:
    """How the check of some files ended."""

    verdicts: "tuple[Verdict, ...]"

    @property
    def exit_code(self) -> int:
        """Exit status for the shell: 0 if all are sound, else 1."""
        return int(any(verdict.fault is not None for verdict in self.verdicts))


def verify_models(*files: Path) -> VerifyReport:
    """Check hash, bands, weights and a forward pass of models; status 1 if one fails.

    Args:
        files: The models.
    """
    if not files:
        raise ConfigError("no model was named. Name at least one file to verify.")
    from darts_segmentation.models.tools.verify import verify

    verdicts = []
    for file in map(user_path, files):
        verdicts.append(verify(file))
        say(_verdict_line(verdicts[-1]))
    return VerifyReport(tuple(verdicts))


def _verdict_line(verdict: "Verdict") -> str:
    if verdict.fault is not None:
        return f"failed: {verdict.fault}"
    ranges = "ranges not stated in the file" if verdict.unstated else "ranges of this release"
    recorded = "" if verdict.is_recorded else " (computed: the file does not say it)"
    return (
        f"sound: {verdict.file}: id {str(verdict.model_id)[:ID_DIGITS]}{recorded}, {verdict.n_bands} bands ({ranges}),"
        " all weights finite, forward pass finite and the same for any batch"
    )


def convert_model(
    file: Path,
    *,
    out: Path | None = None,
    trust: Annotated[bool, Parameter(negative=())] = False,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write a Lightning checkpoint, or another older layout, as .safetensors.

    Args:
        file: The checkpoint.
        out: The file to write; beside the checkpoint, of its name, if not given.
        trust: Run the code that the file may hold, for files with objects of other classes than known ones.
        overwrite: Replace a file that is there already.
    """
    from darts_segmentation.models.tools.convert import convert

    file = user_path(file)
    if trust:
        say(f"Code from {file} will now run as you, with all that you may do.")
    written = convert(file, _given(out), trust=trust, overwrite=overwrite)
    _say_written(written)


def export_model(
    file: Path,
    *,
    form: Annotated[Literal["pt2", "onnx"], Parameter(name="--format")] = "pt2",
    out: Path | None = None,
    patch_size: int | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write the network of a model for other programs, held against the network itself.

    Args:
        file: The model.
        form: pt2 for torch.export, onnx for ONNX (extra `onnx`).
        out: The file to write; beside the model, of its name, if not given.
        patch_size: The one edge of patches in pixels that the graph is to take, any if not given and possible.
        overwrite: Replace a file that is there already.
    """
    from darts_segmentation.models.tools.export import TOLERANCE, export

    made = export(user_path(file), _given(out), form=form, patch_size=patch_size, overwrite=overwrite)
    edges = (
        f"any multiple of {made.stride} pixels from {2 * made.stride} on"
        if made.patch_size is None
        else f"{made.patch_size} x {made.patch_size} pixels only"
    )
    say(f"Written: {made.file}")
    say(f"Input: n x {len(made.card.bands)} bands ({', '.join(made.card.band_names)}), 0 to 1; edges: {edges}")
    say(
        f"Largest difference from the network: {made.difference:.2g} of the range of its logits ({TOLERANCE:g} allowed)"
    )
    say(
        f"Output: logits. The temperature is no part of the graph: probability = sigmoid(logit / "
        f"{made.card.temperature:.6g})"
    )


def get_model(
    model: str,
    *,
    registry: Path | None = None,
    sha256: str | None = None,
    name: str | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    default_dirs: Folders = None,
) -> None:
    """Fetch a model over https into the models folder; it appears only if its hash is right.

    Args:
        model: The name of a model in a registry, or an address that begins with https://.
        registry: File with names, addresses, hashes and licences (TOML or JSON); registry.toml or registry.json in the
            models folder if not given.
        sha256: Hash of the file, for an address.
        name: Name of the model on disk, for an address; that of its file if not given.
        overwrite: Replace another file of that name.
        default_dirs: Base folders of all default locations.
    """
    from darts.models.download import fetch_model
    from darts.models.registry import default_registry, entry_of_url, find_entry

    models = _paths(default_dirs).models
    if "://" in model:
        if sha256 is None or registry is not None:
            raise ConfigError("an address needs --sha256, and no --registry. Ask who offers the model for its hash.")
        entry = entry_of_url(model, sha256, name)
    else:
        if sha256 is not None or name is not None:
            raise ConfigError("sha256 and name go with an address; a registry has them. Leave them out.")
        entry = find_entry(default_registry(models) if registry is None else user_path(registry), model)
    with _bytes_shown(entry.name) as on_bytes:
        file, is_new = fetch_model(entry, models, overwrite=overwrite, on_bytes=on_bytes)
    say(f"{'Fetched' if is_new else 'There already'}: {file}")
    say(f"Licence: {_licence(file, entry.licence)}")
    say(f"Check it:  darts models verify {file}")


@contextmanager
def _bytes_shown(name: str) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how much of a file has come, and how fast."""
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=output_console(), transient=True, disable=is_plain()) as progress:
        task = progress.add_task(name, total=None)
        yield lambda count: progress.advance(task, count)


def _licence(file: Path, stated: str | None) -> str:
    if stated is not None:
        return stated
    said = card_of(file).licence if file.suffix.lower() == SUFFIXES[0] else None
    return "not stated; ask whoever offers the model" if said is None else f"{said} (as the model says)"


def find_model(model: str, folder: Path, also: Sequence[str] = ()) -> Path:
    """Return the file of a model: a path, or a name in the models folder, where the .safetensors of a name wins.

    Args:
        model: The path or name.
        folder: The models folder.
        also: What else could have been named.

    Raises:
        ConfigError: If there is none.
    """
    file = user_path(model)
    if file.is_file() or file.suffix.lower() in SUFFIXES:
        return file
    named = {found.stem: found for suffix in reversed(SUFFIXES) for found in visible_files(folder, suffix)}
    if model not in named:
        known = sorted([*named, *also])
        raise ConfigError(
            f"there is no model {model!r} in {folder}, only {', '.join(known) or 'none'}."
            f"{did_you_mean(model, known)} Name one, or a file."
        )
    return named[model]


def _say_written(written: "Written") -> None:
    new_id = str(written.card.model_id)
    if new_id != written.former_id:
        say(f"Its id was {written.former_id[:ID_DIGITS]}: results made with the older file count as made otherwise")
    say(f"Written: {written.file}, id {new_id[:ID_DIGITS]}")


def _given(out: Path | None) -> Path | None:
    return None if out is None else user_path(out)


def _paths(folders: DefaultPaths | None) -> PathManager:
    return PathManager(DefaultPaths() if folders is None else folders)
