"""What decides the results of a tile: one document, its hash, and what differs between two of them."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts.pipelines.auxiliary import LAYERS, AuxiliaryLayer, Request, editions_of, layers_of
from darts.pipelines.parameters import PipelineParameters
from darts.pipelines.tiles import MosaicResolution, TileRef
from darts_utils.canonical import sha256_of
from darts_utils.parameters import FLOAT32, QUALITY_LEVELS, Precision

RESULT_VERSION = 3
"""Raised when equal input would give other results; `tests/contract/test_result_version.py` says when."""

PARAMETERS = (
    "patch_size",
    "overlap",
    "reflection",
    "binarization_threshold",
    "mask_erosion_size",
    "edge_erosion_size",
    "min_object_size",
    "quality_level",
    "tpi_outer_radius",
    "tpi_inner_radius",
    "drop_cut_objects",
    "tta",
    "skip_water",
)
LATER = {"drop_cut_objects": True, "tta": "none", "skip_water": False}
"""Those of them that earlier releases lacked, with the value at which they do what those did."""
"""Parameters that change a result. `uncertainty` is none: it adds a file, which these decide like all others."""
ONE_FOR_ALL = dict.fromkeys(filter(None, (layer.edition_parameter for layer in LAYERS.values())))
"""Parameters of editions where no layer is read, or the cube that serves all tiles."""
_HEADER_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class Models:
    """What a run knows of its models."""

    ids: Mapping[str, str]
    """By name, see `darts_segmentation.models.checkpoint.model_id`."""
    bands: Mapping[str, Sequence[str]]
    """Bands that each reads."""
    precision: Precision = FLOAT32
    """What they compute in."""
    device: str = ""
    """What they run on, for people."""
    ensemble_card: str | None = None
    """Hash of the ensemble card that calibrates their mean, None without."""
    card_file: Path | None = None
    """Where that was read."""
    is_calibrated: bool = False
    """Whether probabilities are calibrated: those of one calibrated model, or the mean of several by their card."""
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    """`low medium high`: from which core probability on an object is of a tier; empty where nothing is calibrated."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides the results of every tile of a run, but for its image."""

    parameters: Mapping[str, Any]
    precision: Precision
    """What the models compute in, which stands among the parameters."""
    models: Mapping[str, str]
    ensemble_card: str | None
    layers: Sequence[AuxiliaryLayer]
    """Those that models read."""
    request: Request
    """What they are asked, but for the tile."""

    def document(self, ref: TileRef, image: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that decides the results of a tile, as plain values.

        Args:
            ref: The tile.
            image: What says which image it is, see `Source.identity`.
        """
        request = self.request.of(ref)
        return {
            "result_version": RESULT_VERSION,
            "parameters": {**self.parameters, **ONE_FOR_ALL, **editions_of(self.layers, request)},
            "models": dict(self.models),
            "ensemble_card": self.ensemble_card,
            "image": dict(image),
            "auxiliary": {
                layer.name: dict(layer.identity(request.resolution_m, layer.edition(request))) for layer in self.layers
            },
        }


def recipe_of(run: PipelineParameters, models: Models, resolution_m: MosaicResolution) -> Recipe:
    """Return what decides the results of a run.

    Args:
        run: Its parameters.
        models: Its models.
        resolution_m: Pixel size of the ArcticDEM mosaic that it reads.
    """
    parameters = (
        {name: _resolved(run, name) for name in PARAMETERS}
        | {"clip_to_aoi": getattr(run, "clip_to_aoi", False)}  # images on disk are never clipped
        | models.precision.document
    )
    layers, request = layers_read(models.bands.values()), Request(run, resolution_m)
    return Recipe(
        parameters=parameters,
        precision=models.precision,
        models=models.ids,
        ensemble_card=models.ensemble_card,
        layers=layers,
        request=request,
    )


def layers_read(bands: Collection[Sequence[str]]) -> tuple[AuxiliaryLayer, ...]:
    """Return the auxiliary layers that models read, of the bands of each."""
    return layers_of({band for names in bands for band in names})


def _resolved(run: PipelineParameters, name: str) -> Any:
    """Return a parameter as it acts, however it was given."""
    value = getattr(run, name)
    if name == "edge_erosion_size" and value is None:
        return run.mask_erosion_size
    if name == "quality_level":
        return QUALITY_LEVELS.get(value, value)
    return float(value) if name == "binarization_threshold" else value


def fingerprint_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document as 64 hexadecimal digits."""
    return sha256_of(document)


def differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words what differs between how results were made and how they would be made now.

    Args:
        recorded: The document of the results.
        wanted: The document of now. What is None in its image is not known before the image is read, and may be
            anything.
    """
    was, now = dict(_leaves(recorded)), dict(_leaves(wanted))
    lacked = {("parameters", name): value for name, value in LATER.items()}
    was |= {path: value for path, value in lacked.items() if path in now and path not in was}
    unknown = {path for path, value in now.items() if path[0] == "image" and value is None}
    changed = [path for path in dict.fromkeys([*was, *now]) if was.get(path) != now.get(path) and path not in unknown]
    return tuple(dict.fromkeys(_said(path, was.get(path), now.get(path)) for path in changed))


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif path:
        yield path, value


def _said(path: tuple[str, ...], was: Any, now: Any) -> str:
    group, *names = path
    if group == "models":
        return f"model {names[0]} {_short(was)} (now {_short(now)})"
    if group == "image" and names[:1] == ["files"]:
        return f"another file {names[1]}"
    words = {"parameters": "", "image": "image ", "auxiliary": ""}.get(group, "")
    name = " ".join(names) if names else group.replace("_", " ")
    return f"{words}{name} {_shown(was)} (now {_shown(now)})"


def _short(model_id: Any) -> str:
    return "none" if model_id is None else f"{str(model_id)[:8]}..."


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


type FilesSeen = dict[str, list[Any]]
"""By name: size in bytes, time of the last change in nanoseconds, SHA-256 of the header."""


def files_seen(files: Sequence[Path], remembered: Mapping[str, Sequence[Any]] | None = None) -> FilesSeen:
    """Return size, time and hash of the first and last bytes of files; of one unchanged since, as it is remembered.

    Args:
        files: The files.
        remembered: What was returned of them before.
    """
    seen: FilesSeen = {}
    for file in files:
        status = file.stat()
        known = (remembered or {}).get(file.name)
        same = known is not None and list(known[:2]) == [status.st_size, status.st_mtime_ns]
        seen[file.name] = [status.st_size, status.st_mtime_ns, known[2] if same and known else _header_sha256(file)]
    return seen


def image_of_files(image_id: str, source: str, seen: FilesSeen) -> dict[str, Any]:
    """Return what says which image files on disk are."""
    files = {name: {"size": size, "sha256": digest} for name, (size, _, digest) in seen.items()}
    return {"source": source, "id": image_id, "files": files}


def _header_sha256(file: Path) -> str:
    """Return the SHA-256 of the first and the last bytes of a file: a raster's directory stands in either place."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        digest.update(opened.read(_HEADER_BYTES))
        size = opened.seek(0, 2)
        opened.seek(max(_HEADER_BYTES, size - _HEADER_BYTES))
        digest.update(opened.read(_HEADER_BYTES))
    return digest.hexdigest()
