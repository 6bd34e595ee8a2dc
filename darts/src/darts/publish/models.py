"""The files of models in a publication."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from darts.publish.sources import PublishedModel
from darts_export.publish.changed import write_changed

MODELS = "models"


def copy_models(
    models: Sequence[PublishedModel], ensembles: Sequence[Path], catalogue: Path, *, wanted: bool
) -> Mapping[str, str]:
    """Let a catalogue have the files of models, or none of them; return their places in it by the name of the model."""
    files = {one.name: one.file for one in models if one.file is not None} if wanted else {}
    named = {f"{MODELS}/{name}{file.suffix}": file for name, file in files.items()}
    named |= {f"{MODELS}/{file.name}": file for file in ensembles} if wanted else {}
    for place, file in named.items():
        write_changed(catalogue / place, file.read_bytes())
    for file in sorted((catalogue / MODELS).glob("*")):
        if f"{MODELS}/{file.name}" not in named:
            file.unlink()
    return {name: f"{MODELS}/{name}{file.suffix}" for name, file in files.items()}
