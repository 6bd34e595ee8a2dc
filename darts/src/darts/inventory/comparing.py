"""Slumps compared with a reference, and people with one another: what is written and said."""

from collections.abc import Sequence
from pathlib import Path

from darts.inventory.layers import read_layer, read_years
from darts.utils.console import show_table
from darts.utils.terminal import notes_aside, say
from darts_postprocessing.evaluation.agreement import agreement_of
from darts_postprocessing.evaluation.report import page, score_lines, scores_json
from darts_postprocessing.evaluation.scores import evaluate
from darts_postprocessing.inventory.parts import in_degrees
from darts_utils.errors import ConfigError
from darts_utils.files import atomic_file, make_folder
from darts_utils.machine.outputs import check_writable, writing
from darts_utils.paths import user_path


def compare(
    predictions: Path, reference: Path, *, area: Path | None, year: int | None, out: Path, as_json: bool = False
) -> None:
    """Compare slumps with a reference, see `darts.inventory.commands.evaluate_inventory`."""
    out = user_path(out)
    check_writable(out)
    with notes_aside(as_json):
        searched = None if area is None else read_years(user_path(area))
        found = evaluate(read_layer(user_path(predictions), year), read_layer(user_path(reference), year), searched)
    report = page(found, f"{predictions.stem} against {reference.stem}{'' if year is None else f', {year}'}")
    compared = {"predictions": predictions, "reference": reference, "area": area}
    about = {name: None if file is None else str(file) for name, file in compared.items()}
    scores = scores_json(found, {**about, "year": year})
    with writing(out):
        _write(out / "scores.json", scores)
        _write(out / "scores.csv", found.scores.to_csv(index=False))
        _write(out / "report.html", report)
    if as_json:
        say(scores.rstrip())
        return
    for line in score_lines(found):
        say(line)
    say(f"Page: {out / 'report.html'}")


def compare_people(layers: Sequence[Path], *, area: Path | None, year: int | None, out: Path) -> None:
    """Compare what several people drew, see `darts.inventory.commands.agreement_of_layers`."""
    files = [user_path(layer) for layer in layers]
    names, out = _names_of(files), user_path(out)
    check_writable(out)
    given = {name: read_layer(file, year) for name, file in zip(names, files, strict=True)}
    found = agreement_of(given, None if area is None else read_years(user_path(area)))
    with writing(out):
        _write(out / "pairs.csv", found.pairs.to_csv(index=False))
        for name, layer in (("pieces", found.pieces), ("consensus", found.consensus())):
            with atomic_file(out / f"{name}.parquet") as part:
                in_degrees(layer).to_parquet(part, index=False)
    rows = [(str(name), f"{value:.2f}") for name, value in found.medians.items()]
    show_table(f"Medians of {len(found.pairs)} pairs of {len(names)} people", ("score", "value"), rows)
    consensus = found.consensus()
    say(f"Ground that at least half call a slump: {consensus['area_m2'].sum():,.0f} m2 in {len(consensus)} polygons")
    say(f"Written: {out}")


def _names_of(files: Sequence[Path]) -> list[str]:
    """Return the names of people: those of their files, or of the folders of files that are named alike."""
    for names in ([file.stem for file in files], [file.parent.name for file in files]):
        if len(set(names)) == len(names) >= 2:  # nobody agrees with oneself
            return names
    raise ConfigError("agreement needs two layers or more, each with a name of its own. Name each once.")


def _write(file: Path, text: str) -> None:
    make_folder(file.parent)
    with atomic_file(file) as part:
        part.write_text(text, encoding="utf-8")
