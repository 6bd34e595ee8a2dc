"""The command `darts validate-inference`; what it runs is imported by it, for it takes seconds, and its help none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from darts.pipelines.parameters import (
    AuxiliaryParameters,
    DeviceParameters,
    EditionParameters,
    InferenceParameters,
    TpiParameters,
)
from darts_utils.errors import ConfigError
from darts_utils.paths import user_path

if TYPE_CHECKING:
    from darts_segmentation.validation.findings import Finding

_SMALLEST_WINDOW_PX = 128


@dataclass(frozen=True, kw_only=True)
class ValidationParameters(
    TpiParameters, InferenceParameters, DeviceParameters, EditionParameters, AuxiliaryParameters
):
    """How models see a scene, as in a run."""


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """What became of all checks."""

    findings: "Sequence[Finding]"

    @property
    def failures(self) -> list[str]:
        """Names of the checks that failed."""
        return [finding.check for finding in self.findings if finding.status == "failed"]

    @property
    def exit_code(self) -> int:
        """Exit status for the shell: 1 if a check failed, else 0."""
        return int(bool(self.failures))


def validate_inference(
    model: str,
    scene: str,
    /,
    *,
    with_models: list[str] | None = None,
    window: int = 2048,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    parameters: Annotated[ValidationParameters | None, Parameter(name="*")] = None,
) -> ValidationReport:
    """Check that inference with a model does what it promises on a scene, on this machine; status 1 if a check fails.

    Nothing is fetched, and nothing is kept but the file of --json. The scene and what the model reads beside it must be
    on disk, as for an offline run.

    Args:
        model: A file, or the name of a model in the models folder.
        scene: Folder of a scene: of a raw scene store ({source}-s2-sr-scene-{id}.zarr), or with a PlanetScope image; or
            the id of one that lies in its usual place.
        with_models: Further models, which make an ensemble with the first.
        window: Edge of the ground to try, in pixels; of a larger scene the part with most clear ground and slumps.
        json_file: File for the table, as JSON.
        parameters: How models see a scene.

    Raises:
        ConfigError: If there is no such scene, the models are of another sensor, or a parameter is wrong.
        CheckpointError: If a model cannot be used.
        DataError: If the scene lacks what a model reads.
    """
    if window < _SMALLEST_WINDOW_PX:
        raise ConfigError(f"window is {window} px but must be at least {_SMALLEST_WINDOW_PX}. Raise it.")
    out = None if json_file is None else user_path(json_file)
    if out is not None and out.is_dir():
        raise ConfigError(f"json is {out}, which is a folder. Name a file.")
    from darts.validation.run import validate

    given = ValidationParameters() if parameters is None else parameters
    return ValidationReport(findings=validate([model, *(with_models or [])], scene, given, window, out))
