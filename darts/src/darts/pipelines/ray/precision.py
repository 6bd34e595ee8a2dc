"""What all devices of a Ray cluster compute fast in, and the self-check of precisions on one of them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darts.pipelines.computing.ability import Ability
from darts.pipelines.computing.verdicts import judged_on
from darts.pipelines.ray.cluster import Machine, machines
from darts.pipelines.ray.workers import Lanes, set_up_for
from darts.pipelines.tiles import TileRef
from darts_segmentation import EnsembleV1
from darts_segmentation.self_check import Verdicts
from darts_utils.machine.cpu import usable_cores
from darts_utils.parameters import Precision

logger = logging.getLogger(__name__)

_SOME_OF_A_GPU = 0.01


def ability_of_cluster(*, on_gpus: bool) -> Ability:
    """Return what all machines of a cluster that will compute can do; machines that come later are not asked."""
    here = ray.get_runtime_context().get_node_id()
    used = [machine for machine in machines() if (machine.gpus if on_gpus else machine.cpus >= 1)]
    others = [_ask(machine, on_gpus=on_gpus) for machine in used if on_gpus or machine.node_id != here]
    own = [] if len(others) == len(used) else [Ability.of(torch.device("cpu"))]
    return Ability.of_all([*own, *ray.get(others)])


def _ask(machine: Machine, *, on_gpus: bool) -> Any:
    there = NodeAffinitySchedulingStrategy(machine.node_id, soft=False)
    gpus = _SOME_OF_A_GPU if on_gpus else 0
    task: Any = ray.remote(Ability.of)
    device = torch.device("cuda", 0) if on_gpus else torch.device("cpu")
    return task.options(num_cpus=0, num_gpus=gpus, scheduling_strategy=there).remote(device)


@dataclass(frozen=True)
class ClusterJudge:
    """Tries precisions on one of the machines."""

    lanes: Lanes
    load_models: Callable[[], EnsembleV1]
    faster: Sequence[Precision]
    on_gpus: bool

    def __call__(self, tiles: Sequence[TileRef]) -> Verdicts:
        """Return what is found on the first tile that can be loaded; empty if none can."""
        there: Any = ray.remote(_judged)
        try:
            found: Verdicts = ray.get(
                there.options(num_gpus=int(self.on_gpus)).remote(
                    [ray.put(self.lanes)], self.load_models, tiles, self.faster
                )
            )
        except RayError as error:
            logger.warning("precisions could not be compared on the cluster: %s", str(error).strip().splitlines()[-1])
            return {}
        return found


def _judged(
    references: "Sequence[ray.ObjectRef]",
    load_models: Callable[[], EnsembleV1],
    tiles: Sequence[TileRef],
    faster: Sequence[Precision],
) -> Verdicts:
    """Try precisions in a worker."""
    torch.set_num_threads(usable_cores())  # Ray allows one to a worker that reserves few CPUs
    lanes, context = set_up_for(references)
    return context.run(judged_on, lanes.prepare, load_models(), tiles, faster)
