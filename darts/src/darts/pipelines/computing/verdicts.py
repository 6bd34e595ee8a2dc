"""What self-checks of precisions find, on the first image of a run, or found for the same models and processors."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from darts.logs.events import tell
from darts.pipelines.computing.ability import Ability
from darts.pipelines.stages import Stage
from darts.pipelines.tiles import TileRef, Work, loaded
from darts_segmentation.self_check import Verdict, Verdicts, best_precision, check_precisions
from darts_utils.errors import DartsError
from darts_utils.files import atomic_file
from darts_utils.machine.memory import give_back, give_back_after
from darts_utils.parameters import FLOAT32, Precision

if TYPE_CHECKING:
    from darts_segmentation import EnsembleV1

logger = logging.getLogger(__name__)

_VERDICTS = "precision.json"
_MOST_TRIED = 3
"""Images that may fail to load before a run goes on in float32."""

type Judge = Callable[[Sequence[TileRef]], Verdicts]
"""Tries precisions on the first of some tiles that can be loaded; empty if none can."""


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
    kept = _kept(logs, ability)
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


def kept_verdicts(logs: Path, ability: Ability) -> Mapping[str, Mapping[str, Verdict]]:
    """Return what self-checks found before where the same computes: by id of the model, by precision in words.

    Args:
        logs: Folder of the log files, beside which it is kept.
        ability: What computes.
    """
    kept = _kept(logs, ability)
    known = _plain(kept.path).get(kept.key, {})
    return {
        model_id: {
            str(one): verdict for one in ability.faster if (verdict := _verdict(known, model_id, one)) is not None
        }
        for model_id in known
    }


def _say(chosen: Precision, verdicts: Verdicts) -> None:
    for precision, of_models in verdicts.items():
        for name, verdict in of_models.items():
            logger.info(
                "%s in %s: 99.9 %% of probabilities within %.4f of float32, %.4f %% of pixels flip",
                name, precision, verdict.most, 100 * verdict.flips,
            )  # fmt: skip
    if chosen != FLOAT32:
        most = max(verdict.most for verdict in verdicts[chosen].values())
        tell(f"models compute in {chosen}: 99.9 % of probabilities are within {most:.4f} of those in float32")


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
            return _judged(stages, ensemble, ref, faster)
        except (DartsError, OSError) as error:
            logger.info("precisions are not compared on %s: %s", ref.tile_id, error)
        finally:
            give_back()  # or the run would begin with a whole scene that nobody needs
    return {}


def _judged(stages: Sequence[Stage], ensemble: "EnsembleV1", ref: TileRef, faster: Sequence[Precision]) -> Verdicts:
    work: Work = Work(ref)
    for stage in stages:
        work = stage.run(work)
        give_back_after(work.nbytes)
    return check_precisions(ensemble.members, loaded(work).tile, ensemble.device, faster)


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


def _kept(logs: Path, ability: Ability) -> _Kept:
    return _Kept(logs / _VERDICTS, f"{ability.processors}, torch {torch.__version__}")


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
