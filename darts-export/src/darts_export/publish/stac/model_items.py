"""The STAC item of a model, from its card, as the extension for machine learning models asks for it."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pystac
import shapely
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from darts_export.publish.stac import names
from darts_export.publish.stac.extent import box_of
from darts_export.publish.stac.facts import CatalogueFacts, ModelFile
from darts_export.publish.stac.files import file_fields, file_of, href_from
from darts_export.publish.stac.links import family
from darts_utils.errors import DataError

TASKS = ("semantic-segmentation",)
WEIGHTS = "application/octet-stream"
ARTIFACTS = {".safetensors": "safetensors.torch.save_file", ".pt": "torch.save", ".ckpt": "torch.save"}
"""What wrote a file of weights, by its suffix."""
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]")
_SPDX = re.compile(r"[\w\-.+]+")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(\+[0-9a-zA-Z.-]+)?")
_OWN = {"model_id": "model_id", "version": "model_version", "citation": "citation", "contact": "contact"}


def model_item(folder: Path, model: ModelFile, facts: CatalogueFacts, collection_id: str) -> pystac.Item:
    """Return the item of a model.

    Args:
        folder: Of the catalogue.
        model: The model.
        facts: Of the catalogue.
        collection_id: Of the collection of models.

    Raises:
        DataError: If its card lacks architecture or bands, or says what is no outline.
        MissingDataError: If its weights are not there.
    """
    path, card = names.model_item_path(model.name), model.card
    bands, architecture = card.get("bands"), card.get("architecture")
    if not bands or not architecture:
        raise DataError(f"the card of {model.name} does not say its architecture and bands. Pack the model again.")
    outline, weights = _domain(model), _weights(folder, model, path)
    item = pystac.Item(
        id=model.name,
        geometry=None if outline is None else shapely.geometry.mapping(outline),
        bbox=None if outline is None else box_of(outline),
        datetime=_made(card, facts) if model.trained_on is None else None,
        start_datetime=model.trained_on[0] if model.trained_on is not None else None,
        end_datetime=model.trained_on[1] if model.trained_on is not None else None,
        properties={**_about(card), **_learned(card), **_structure(card), **mlm_name_of(model.name)},
        stac_extensions=[names.MLM, names.FILE_INFO],
        collection=collection_id,
    )
    item.add_links(family(path, names.MODELS, is_item=True))
    if weights is None:
        item.stac_extensions.append(names.RASTER_1)  # without it the extension for models wants bands of the item
    else:  # where STAC allows bands of an item only if an asset has them
        item.properties["bands"] = _bands(card)
        item.add_asset("model", weights)
    return item


def mlm_name_of(name: str) -> dict[str, str]:
    """Return the name of a model as the extension allows it, which begins with a letter and has three characters."""
    plain = re.sub(r"[^a-zA-Z0-9_.\-\s]", "-", name)
    return {"mlm:name": plain if _NAME.fullmatch(plain) else f"model-{plain}".rstrip("-._ ")}


def _made(card: Mapping[str, Any], facts: CatalogueFacts) -> datetime:
    """Return when a model was made, which stands for when its images were taken where that is not known."""
    try:
        return pystac.utils.str_to_datetime(str(card["created"]))
    except (KeyError, ValueError, OverflowError):
        return facts.published


def _domain(model: ModelFile) -> BaseGeometry | None:
    """Return the regions that it was trained on, None where that is not known."""
    said = model.card.get("domain")
    if not said or not said.get("coordinates"):
        return None
    try:
        shape = shapely.geometry.shape(said)
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"the card of {model.name} has a domain that is no outline. Pack the model again.") from error
    if shape.geom_type not in ("Polygon", "MultiPolygon"):
        raise DataError(f"the card of {model.name} has a {shape.geom_type} as its domain. Give polygons.")
    return shapely.orient_polygons(shape, exterior_cw=False)


def _about(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of any STAC item, and what only DARTS knows of a model."""
    licence, given = card.get("licence"), card.get("input") or {}
    fields = {f"darts:{name}": card.get(key) for key, name in _OWN.items()}
    fields |= {f"darts:{key}": card.get(key) for key in ("calibration", "thresholds")}
    fields |= {"darts:sensor": given.get("sensor"), "gsd": given.get("pixel_size_m"), "title": card.get("name")}
    fields["darts:metrics"] = (card.get("training") or {}).get("metrics")
    if licence:
        fields["license"] = licence if _SPDX.fullmatch(licence) else "other"
        fields["darts:licence"] = licence
    return {key: value for key, value in fields.items() if value is not None}


def _learned(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return how it was trained, as far as the card tells."""
    training = card.get("training") or {}
    given = {key: value for key, value in (training.get("hyperparameters") or {}).items() if value is not None}
    fields: dict[str, Any] = {"mlm:framework": "PyTorch"}
    release = str((training.get("versions") or {}).get("torch", ""))
    if _VERSION.fullmatch(release):
        fields["mlm:framework_version"] = release
    if given:
        fields["mlm:hyperparameters"] = {re.sub(r"[^0-9a-zA-Z_.-]", "_", key): value for key, value in given.items()}
    if training:
        began = training.get("began_with") or {}
        source = began.get("name") or began.get("model_id") or given.get("model_encoder_weights")
        fields |= {"mlm:pretrained": source is not None, "mlm:pretrained_source": source}
    return fields


def _structure(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes in and what comes out."""
    architecture, channels = card["architecture"], [band["name"] for band in card["bands"]]
    edge = (card.get("input") or {}).get("patch_size") or -1
    temperature = (card.get("calibration") or {}).get("temperature") or 1
    kind = " with encoder ".join(str(architecture[key]) for key in ("arch", "encoder_name") if key in architecture)
    return {
        "mlm:architecture": kind,
        "mlm:tasks": list(TASKS),
        "mlm:input": [
            {
                "name": "patch",
                "description": "Bands in the order of the channels, scaled to 0 to 1 and cut off there; 0 without data",
                "bands": channels,
                "input": {
                    "shape": [-1, len(channels), edge, edge],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
                **_scaling(card),
            }
        ],
        "mlm:output": [
            {
                "name": "logit",
                "description": "Of retrogressive thaw slump; its sigmoid is the probability",
                "tasks": list(TASKS),
                "result": {
                    "shape": [-1, int(architecture.get("classes") or 1), edge, edge],
                    "dim_order": ["batch", "class", "height", "width"],
                    "data_type": "float32",
                },
                "post_processing_function": {"format": "text", "expression": f"sigmoid(logit / {temperature:g})"},
            }
        ],
    }


def _bands(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the channels, with their mean and deviation over the training patches, scaled, where that is known."""
    return [_band(band["name"], (card.get("input_statistics") or {}).get(band["name"]) or {}) for band in card["bands"]]


def _band(name: str, learned: Mapping[str, Any]) -> dict[str, Any]:
    known = {"mean": learned.get("mean"), "stddev": learned.get("std")}
    statistics = {key: value for key, value in known.items() if value is not None}
    return {"name": name, **({"statistics": statistics} if statistics else {})}


def _scaling(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return how each band is scaled, nothing where that is not known of all."""
    ranges = [(band.get("low"), band.get("high")) for band in card["bands"]]
    if any(None in limits for limits in ranges):
        return {}
    return {"value_scaling": [{"type": "min-max", "minimum": low, "maximum": high} for low, high in ranges]}


def _weights(folder: Path, model: ModelFile, path: str) -> pystac.Asset | None:
    """Return the asset of its weights, None where they can be had nowhere."""
    if model.path is not None:
        href, fields = href_from(path, model.path), file_fields(file_of(folder, model.path))
    elif model.href is not None:
        href, fields = model.href, {}
    else:
        return None
    suffix = Path(model.path or model.href or "").suffix.lower()
    return pystac.Asset(
        href=href,
        title=f"Weights of {model.name}",
        media_type=WEIGHTS,
        roles=["mlm:model", "mlm:weights"],
        extra_fields={
            "mlm:artifact_type": ARTIFACTS.get(suffix, ARTIFACTS[".safetensors"]),
            "bands": _bands(model.card),
            **fields,
        },
    )
