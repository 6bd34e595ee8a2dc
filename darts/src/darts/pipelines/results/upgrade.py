"""Results of earlier releases are told how they were made, where the record of their run proves it."""

import logging
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from darts.pipelines.results.fingerprint import (
    LATER,
    ONE_FOR_ALL,
    PARAMETERS,
    files_seen,
    fingerprint_of,
    image_of_files,
    layers_read,
)
from darts.pipelines.results.finished import DOCUMENT, SEEN
from darts.pipelines.sources.scenes import baseline_of
from darts.pipelines.tiles import MosaicResolution
from darts.utils.terminal import say
from darts_acquisition.optical.local_files.image_folder import image_folder
from darts_export.record import FINGERPRINT, fingerprints, read_record, replace_record
from darts_utils.errors import DartsError, DataError, MissingDataError

logger = logging.getLogger(__name__)

_EARLIER_VERSION = 1
"""Result version of all releases that wrote no fingerprint."""
_RESOLUTION_M: dict[bool, MosaicResolution] = {True: 2, False: 10}


@dataclass(frozen=True)
class UpgradeReport:
    """What became of the tiles of a results folder."""

    upgraded: tuple[str, ...]
    unproven: Mapping[str, str]
    """Why not, by tile."""

    @property
    def exit_code(self) -> int:
        """Exit status for the shell: 0 if all is known now, else 1."""
        return 1 if self.unproven else 0


@dataclass(frozen=True)
class _Proof:
    """What the record of a run says of one of its tiles."""

    tile_id: str
    folder: Path
    config: Mapping[str, Any]


def upgrade_results(folder: Path, *, metadata_dir: Path | None = None) -> UpgradeReport:
    """Write into results of earlier releases how they were made, where the record of their run proves it.

    A proof needs the run's `{time}.config.toml` and `.results.parquet`, rasters whose tags agree with them, and models
    (and PlanetScope images) that are still where they were and have not changed since. Nothing but
    `darts_inference.json` is written.

    Args:
        folder: A results folder.
        metadata_dir: Where the record of its runs lies, in it if not given.

    Raises:
        MissingDataError: If there is no such folder, or no record in it.
    """
    if not folder.is_dir():
        raise MissingDataError(f"there is no results folder {folder}. Correct its name.")
    proofs = {
        proof.folder: proof for proof in _proofs(folder, metadata_dir or folder)
    }  # of several runs over a tile, the last that made it
    if not proofs:
        raise MissingDataError(
            f"there is no record of a run in {folder} ({{time}}.config.toml). Name a results folder."
        )
    upgraded, unproven = [], {}
    for proof in proofs.values():
        if fingerprints(proof.folder):
            continue
        try:
            _write(proof, _document(proof))
        except (DartsError, OSError) as error:
            unproven[proof.tile_id] = str(error)
            say(f"{proof.tile_id}: {error}")
        else:
            upgraded.append(proof.tile_id)
    say(f"tiles that say now how they were made: {len(upgraded)}; for which nothing proves it: {len(unproven)}")
    return UpgradeReport(tuple(upgraded), unproven)


def _proofs(folder: Path, records: Path) -> Iterator[_Proof]:
    """Yield what the records of all runs in a folder say of tiles that are there, the oldest first."""
    for path in sorted(records.glob("*.config.toml"), key=lambda path: path.stat().st_mtime_ns):
        results = path.with_name(path.name.replace(".config.toml", ".results.parquet"))
        try:
            config = tomllib.loads(path.read_text(encoding="utf-8")).get("darts", {})
            rows = pq.read_table(results, columns=["tile_id", "output_path", "status"]).to_pylist()
        except (OSError, ValueError) as error:
            logger.warning("%s tells nothing: %s", path, error)
            continue
        made = [row for row in rows if row["status"] in ("done", "success")]
        for row in made:
            place = _moved(Path(row["output_path"]), config, folder)
            if place.is_dir():
                yield _Proof(row["tile_id"], place, config)


def _moved(place: Path, config: Mapping[str, Any], folder: Path) -> Path:
    """Return where a tile is now, if the whole results folder was moved since."""
    was = Path(config.get("output_data_dir", folder))
    return folder / place.relative_to(was) if place.is_relative_to(was) else folder / place.name


def _document(proof: _Proof) -> dict[str, Any]:
    """Return all that decided the results of a tile.

    Raises:
        DataError: If something is not proven; the message says what.
    """
    from darts_segmentation.models.checkpoint import model_id, read_bands

    tags = _tags(proof.folder)
    models = _models(proof, tags)
    is_planet = "raw_data_source" not in proof.config
    parameters = {name: proof.config.get(name, LATER.get(name)) for name in PARAMETERS}
    if parameters["edge_erosion_size"] is None:
        parameters["edge_erosion_size"] = parameters["mask_erosion_size"]
    for name, value in proof.config.items():
        if name in PARAMETERS and f"DARTS_{name}" in tags and tags[f"DARTS_{name}"] != str(value):
            raise DataError(f"its rasters were made with {name} {tags[f'DARTS_{name}']}, but the run had {value}")
    return {
        "result_version": _EARLIER_VERSION,
        "parameters": {
            **parameters, **ONE_FOR_ALL, "clip_to_aoi": False,
            "precision": "float32" if proof.config.get("device") == "cpu" else None,
        },
        "models": {file.stem: model_id(file) for file in models},
        "ensemble_card": None,
        "image": _image(proof, tags),
        "auxiliary": {
            layer.name: dict(layer.identity(_RESOLUTION_M[is_planet]))
            for layer in layers_read([read_bands(file) for file in models])
        },
    }  # fmt: skip


def _tags(folder: Path) -> dict[str, str]:
    """Return the tags of the rasters of a tile."""
    import rasterio

    for path in sorted(folder.glob("*.tif")):
        try:
            with rasterio.open(path, driver="GTiff") as raster:
                tags: dict[str, str] = raster.tags()
        except rasterio.errors.RasterioError as error:
            raise DataError(f"{path.name} cannot be read ({error})") from error
        if "DARTS_models" in tags:
            return tags
    raise DataError("none of its rasters says what it was made with")


def _models(proof: _Proof, tags: Mapping[str, str]) -> list[Path]:
    """Return the models of a tile, unchanged since."""
    files = [Path(file) for file in _listed(proof.config.get("model_files"))]
    if [file.stem for file in files] != tags["DARTS_models"].split(", "):
        raise DataError(f"its rasters were made with the models {tags['DARTS_models']}, but the run had others")
    for file in files:
        _check_unchanged(file, proof.folder)
    return files


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _image(proof: _Proof, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return what says which image a tile was made of."""
    source = proof.config.get("raw_data_source")
    if source is not None:
        baseline = baseline_of(proof.tile_id)
        return {"source": source, "id": proof.tile_id, "processing_baseline": baseline, "window": "whole"}
    name = tags.get("planet_scene_id", proof.folder.name)
    roots = [Path(proof.config[key]) for key in ("scenes_dir", "orthotiles_dir") if key in proof.config]
    found = [
        place for root in roots for place in (root / name, root / proof.folder.parent.name / name) if place.is_dir()
    ]
    if len(found) != 1:
        raise DataError(f"its image {name} is not where it was")
    folder = image_folder(found[0])
    files = [file for file in (folder.image, folder.mask, *folder.metadata) if file is not None]
    for file in files:
        _check_unchanged(file, proof.folder)
    return image_of_files(name, "disk", files_seen(files))


def _check_unchanged(file: Path, tile: Path) -> None:
    """Refuse a file that is gone, or was written after the results of the tile."""
    made = min(path.stat().st_mtime for path in tile.iterdir())
    if not file.is_file():
        raise DataError(f"{file} is not there any more")
    if file.stat().st_mtime > made:
        raise DataError(f"{file} was written after the results")


def _write(proof: _Proof, document: dict[str, Any]) -> None:
    """Write the record of a tile, keeping what it has said before."""
    record = {**(read_record(proof.folder) or {}), FINGERPRINT: fingerprint_of(document), DOCUMENT: document}
    replace_record(proof.folder, {SEEN: {}, **record})
