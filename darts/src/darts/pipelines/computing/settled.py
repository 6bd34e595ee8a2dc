"""What the networks of a run compute in, and on how large patches: as asked, as results before, or as is best."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darts.pipelines.computing.ability import Ability
from darts.pipelines.parameters import PATCH_SIZES
from darts.pipelines.results.finished import DOCUMENT
from darts_export.record import FILE, read_record
from darts_utils.errors import ConfigError
from darts_utils.parameters import FLOAT32, Precision, precision_named

if TYPE_CHECKING:
    from darts.pipelines.base import Pipeline


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
            document = (read_record(path.parent) or {}).get(DOCUMENT)
            parameters = document.get("parameters") if isinstance(document, Mapping) else None
            if isinstance(parameters, Mapping):
                yield parameters
