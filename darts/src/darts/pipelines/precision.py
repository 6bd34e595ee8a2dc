"""What the networks of a run compute in, and on how large patches: as asked, as results before, or as is best."""

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from darts.pipelines.memory import memory_budget_bytes
from darts.pipelines.parameters import PATCH_SIZES
from darts.pipelines.stages import Stage
from darts.pipelines.tiles import TileRef, Work, loaded
from darts.utils.terminal import say
from darts_export.record import FILE, read_record
from darts_segmentation.precision import faster_precisions, processor_name
from darts_segmentation.self_check import Verdict, Verdicts, best_precision, check_precisions
from darts_utils.errors import ConfigError, DartsError
from darts_utils.files import atomic_file
from darts_utils.precision import FLOAT32, Precision, precision_named

if TYPE_CHECKING:
    from darts.pipelines.base import Pipeline
    from darts_segmentation import EnsembleV1

logger = logging.getLogger(__name__)

_DOCUMENT = "DARTS_fingerprint_document"
_VERDICTS = "precision.json"
_OF_A_GPU = 0.5
"""Share of its memory that networks may take: others may use it too."""
_MOST_TRIED = 3
"""Images that may fail to load before a run goes on in float32."""

type Judge = Callable[[Sequence[TileRef]], Verdicts]
"""Tries precisions on the first of some tiles that can be loaded; empty if none can."""


@dataclass(frozen=True, kw_only=True)
class Ability:
    """What all that computes for a run can do."""

    faster: tuple[Precision, ...]
    """What it computes faster in than in float32, in the order in which it is to be tried."""
    processors: str
    """What computes, where that may make a difference."""
    network_bytes: int
    """Memory that networks may take, beside tiles on the CPU."""
    on_gpus: bool = False

    @classmethod
    def of(cls, device: torch.device, max_memory_gb: float | None = None) -> "Ability":
        """Return what a device can do; on a CPU networks may take half of what tiles may."""
        if device.type == "cuda":
            network_bytes = int(_OF_A_GPU * torch.cuda.get_device_properties(device).total_memory)
        else:
            network_bytes = memory_budget_bytes(max_memory_gb) // 2
        faster, name = faster_precisions(device), processor_name(device)
        return cls(faster=faster, processors=name, network_bytes=network_bytes, on_gpus=device.type == "cuda")

    @classmethod
    def of_all(cls, each: Sequence["Ability"]) -> "Ability":
        """Return what several workers can all do."""
        faster = [one for one in each[0].faster if all(one in other.faster for other in each)] if each else []
        return cls(
            faster=tuple(faster),
            processors=" + ".join(sorted({one.processors for one in each})),
            network_bytes=min((one.network_bytes for one in each), default=0),
            on_gpus=any(one.on_gpus for one in each),
        )


def settled_precision(run: "Pipeline", results: Path, ability: Ability | None) -> Precision | None:
    """Return what a run computes in as far as that is known before its tiles are; None if a self-check must tell.

    Args:
        run: Its resolved parameters.
        results: Its results folder.
        ability: What its workers can do, None if that is not known.

    Raises:
        ConfigError: If the results in the folder were computed in what the workers cannot.
    """
    if run.precision != "auto":
        return precision_named(run.precision)
    recorded = next(_recorded(results), None)
    if ability is None or recorded in (FLOAT32, *ability.faster):
        return recorded
    if recorded is None or run.overwrite or run.keep_old:
        return None if ability.faster else FLOAT32
    raise ConfigError(
        f"the results in {results} were computed in {recorded}, which is not fast on {ability.processors}. Go on where"
        f" they began, or use --precision float32 with --overwrite, another --output-data-dir, or --keep-old."
    )


def settled_patch_px(run: "Pipeline", results: Path, ability: Ability, bytes_per_px: Callable[[], float]) -> int:
    """Return the edge of the patches of a run.

    Args:
        run: Its resolved parameters.
        results: Its results folder: patches are as large as those of results that are there.
        ability: What its workers can do.
        bytes_per_px: Finds out what the networks take for a pixel.
    """
    if run.patch_size != "auto":
        return run.patch_size
    given = (parameters.get("patch_size") for parameters in _parameters(results))
    recorded = next((size for size in given if isinstance(size, int)), None)
    if recorded is not None:
        return recorded
    fit = math.sqrt(ability.network_bytes / (bytes_per_px() * _patches_at_once(run, ability)))
    return max((size for size in PATCH_SIZES if size <= fit), default=PATCH_SIZES[0])


def _patches_at_once(run: "Pipeline", ability: Ability) -> int:
    return run.batch_size if ability.on_gpus else 1


def _recorded(results: Path) -> Iterator[Precision]:
    """Yield what the tiles of a results folder were computed in."""
    found = (Precision.of_document(parameters) for parameters in _parameters(results))
    return (precision for precision in found if precision is not None)


def _parameters(results: Path) -> Iterator[Mapping[str, Any]]:
    """Yield how the tiles of a results folder say that they were made; some lie one folder deeper."""
    for pattern in (f"*/{FILE}", f"*/*/{FILE}"):
        for path in results.glob(pattern):
            document = (read_record(path.parent) or {}).get(_DOCUMENT)
            parameters = document.get("parameters") if isinstance(document, Mapping) else None
            if isinstance(parameters, Mapping):
                yield parameters


def checked_precision(
    ability: Ability, model_ids: Mapping[str, str], logs: Path, tiles: Sequence[TileRef], judge: Judge
) -> Precision:
    """Return the fastest of what workers can do that says the same as float32, by a self-check, or an earlier one.

    Args:
        ability: What they can do.
        model_ids: Ids of the models by name.
        logs: Folder of the log files, beside which what was found is kept.
        tiles: Those to be made.
        judge: Makes the self-check.
    """
    kept = _Kept(logs / _VERDICTS, f"{ability.processors}, torch {torch.__version__}")
    verdicts = kept.read(model_ids, ability.faster)
    if verdicts is None:
        verdicts = judge(tiles[:_MOST_TRIED])
        if not verdicts:
            logger.warning("no image could be loaded to compare precisions on: models compute in float32")
            return FLOAT32
        kept.write(model_ids, verdicts)
    chosen = best_precision(verdicts, ability.faster)
    _say(chosen, verdicts)
    return chosen


def _say(chosen: Precision, verdicts: Verdicts) -> None:
    for precision, of_models in verdicts.items():
        for name, verdict in of_models.items():
            logger.info(
                "%s in %s: 99.9 %% of probabilities within %.4f of float32, %.4f %% of pixels flip",
                name, precision, verdict.most, 100 * verdict.flips,
            )  # fmt: skip
    if chosen != FLOAT32:
        most = max(verdict.most for verdict in verdicts[chosen].values())
        say(f"models compute in {chosen}: 99.9 % of probabilities are within {most:.4f} of those in float32")


def judged_on(
    stages: Sequence[Stage], ensemble: "EnsembleV1", tiles: Sequence[TileRef], faster: Sequence[Precision]
) -> Verdicts:
    """Return what a self-check finds on the first tile that can be loaded; empty if none can.

    Args:
        stages: From a reference to a tile with its features.
        ensemble: The models, on the device.
        tiles: Those to try, in order.
        faster: The precisions to try, in order.
    """
    for ref in tiles:
        try:
            work: Work = Work(ref)
            for stage in stages:
                work = stage.run(work)
            return check_precisions(ensemble.members, loaded(work).tile, ensemble.device, faster)
        except (DartsError, OSError) as error:
            logger.info("precisions are not compared on %s: %s", ref.tile_id, error)
    return {}


@dataclass(frozen=True)
class _Kept:
    """What self-checks found, in a file, by processor and version of torch, by model, by precision."""

    path: Path
    key: str

    def read(self, model_ids: Mapping[str, str], faster: Sequence[Precision]) -> Verdicts | None:
        """Return what was found of all models, None if something must be found out first."""
        known = _plain(self.path).get(self.key, {})
        verdicts = {
            precision: {
                name: verdict
                for name, model_id in model_ids.items()
                if (verdict := _verdict(known, model_id, precision)) is not None
            }
            for precision in faster
        }
        whole = {one: of_models for one, of_models in verdicts.items() if len(of_models) == len(model_ids)}
        is_known = best_precision(whole, faster) != FLOAT32 or len(whole) == len(faster)
        return whole if is_known else None

    def write(self, model_ids: Mapping[str, str], verdicts: Verdicts) -> None:
        """Keep what was found; a folder that cannot be written to only costs the same check again."""
        content = _plain(self.path)
        known = content.setdefault(self.key, {})
        for precision, of_models in verdicts.items():
            for name, verdict in of_models.items():
                known.setdefault(model_ids[name], {})[str(precision)] = asdict(verdict)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(self.path) as part:
                part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        except (DartsError, OSError) as error:
            logger.info("what precisions change is not kept: %s", error)


def _plain(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and all(isinstance(one, dict) for one in content.values()) else {}


def _verdict(known: Mapping[str, Any], model_id: str, precision: Precision) -> Verdict | None:
    try:
        given = known[model_id][str(precision)]
        return Verdict(most=float(given["most"]), flips=float(given["flips"]))
    except (KeyError, TypeError, ValueError):
        return None
