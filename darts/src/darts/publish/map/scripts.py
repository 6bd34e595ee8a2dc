"""Data as scripts: browsers refuse to read other files from disk, but they run them."""

from pathlib import Path
from typing import Any

from darts.maps.parts import as_text
from darts_export.publish.changed import write_changed

FOLDER = "data"


def write_script(catalogue: Path, name: str, values: Any) -> Path:
    """Write `data/{name}.js`, which hands its values to the page, and return the file."""
    file = catalogue / FOLDER / f"{name}.js"
    write_changed(file, f'dartsData("{name}",{as_text(values)});\n'.encode())
    return file
