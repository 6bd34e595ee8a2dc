"""Networks for other programs: as `.pt2` of torch.export or as ONNX, held against the network before they appear."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from darts_segmentation.models.card import ModelCard
from darts_segmentation.models.checkpoint import load
from darts_segmentation.models.tools.pack import check_free
from darts_segmentation.models.tools.verify import edge_of, largest_difference, logits_of, random_patches, stride_of
from darts_utils.errors import CheckpointError, ConfigError, DataError, with_kind
from darts_utils.files import atomic_file

type Format = Literal["pt2", "onnx"]
type Run = Callable[[torch.Tensor], torch.Tensor]

TOLERANCE = 1e-4
"""Largest difference from the network, as a share of the range of its logits."""
_ONNX = ("onnx", "onnxscript", "onnxruntime")
_MOST_STRIDES = 512
"""Longest edge of a dynamic patch, in output strides."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A graph that was written."""

    file: Path
    card: ModelCard
    """Of the model; the graph holds none of it."""
    difference: float
    """Largest difference of its logits on random patches from the network's, as a share of their range."""
    patch_size: int | None
    """The one edge of patches that it takes, None if any multiple of `stride` will do."""
    stride: int
    """Edges of patches must be multiples of it, of no fewer than two."""


def export(
    file: Path, out: Path | None = None, *, form: Format = "pt2", patch_size: int | None = None, overwrite: bool = False
) -> Exported:
    """Write the graph of a model's network: (n, band, y, x) float32 from 0 to 1 in, logits (n, 1, y, x) float32 out.

    The number of patches is free; so are their edges, in multiples of the output stride, where the network can be
    traced so and no patch size is given. Neither normalisation nor temperature is part of the graph.

    Args:
        file: The model.
        out: The file to write; beside the model, of its name, if not given.
        form: What is written.
        patch_size: The one edge of patches in pixels that the graph is to take.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        CheckpointError: If the file is not a usable model, or its network cannot be traced.
        ConfigError: If the format or the patch size is illegal, or a package is missing.
        DataError: If the graph does not give what the network gives; nothing is written.
        OutputError: If there is such a file already, or it cannot be written.
    """
    target = _target(file, out, form, overwrite=overwrite)
    model = load(file)
    stride = stride_of(model.network)
    if patch_size is not None and (patch_size < stride or patch_size % stride):
        raise ConfigError(f"patch_size is {patch_size} but must be a multiple of {stride}, the stride of the network.")
    network = _OneOutput(model.network).eval()
    program, fixed_px = _traced(file, network, len(model.bands), stride, patch_size)
    with atomic_file(target) as part:
        run = _write_onnx(program, part) if form == "onnx" else _write_pt2(program, part)
        difference = _largest(network, run, len(model.bands), stride, fixed_px)
        if not difference <= TOLERANCE:
            raise DataError(
                f"the exported graph differs from the network of {file} by {difference:.2g} of the range of its logits,"
                f" but {TOLERANCE:g} is allowed. Nothing was written; try the other format."
            )
    return Exported(file=target, card=model.card, difference=difference, patch_size=fixed_px, stride=stride)


class _OneOutput(nn.Module):
    """A network whose only output are its logits.

    Args:
        network: The network, which may have an auxiliary head.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        output = self.network(patches)
        logits: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return logits


def _target(file: Path, out: Path | None, form: Format, *, overwrite: bool) -> Path:
    if form not in get_args(Format.__value__):
        raise ConfigError(f"format is {form} but must be pt2 or onnx. Correct it.")
    if form == "onnx" and (missing := [name for name in _ONNX if find_spec(name) is None]):
        raise ConfigError(
            f"ONNX needs the packages {', '.join(missing)}. Install the extra: pip install 'darts-nextgen[onnx]'."
        )
    target = file.with_suffix(f".{form}") if out is None else out
    if target.suffix.lower() != f".{form}":
        raise ConfigError(f"out is {target} but must end in .{form}. Correct it, or choose another --format.")
    check_free(target, overwrite=overwrite)
    return target


def _traced(
    file: Path, network: nn.Module, n_bands: int, stride: int, patch_size: int | None
) -> tuple[ExportedProgram, int | None]:
    """Return the graph of a network, and the one edge of patches that it takes, None if it takes many."""
    edge = edge_of(network, 64) if patch_size is None else patch_size
    if patch_size is None:
        with contextlib.suppress(Exception):  # torch has many reasons to find that an edge is no free choice
            return _trace(network, random_patches(2, n_bands, 2 * stride, 3 * stride), stride), None
        edge = edge_of(network, 256)
    try:
        return _trace(network, random_patches(2, n_bands, edge, edge)), edge
    except Exception as error:
        reason = with_kind(error, 200)
        raise CheckpointError(f"{file} has a network that cannot be exported ({reason}). Use it with DARTS.") from error


def _trace(network: nn.Module, example: torch.Tensor, stride: int | None = None) -> ExportedProgram:
    """Return the graph for any number of patches, and for edges of any multiple of a stride if that is given."""
    shapes: dict[int, Any] = {0: Dim("n")}
    if stride is not None:
        rows, columns = (Dim(name, min=2, max=_MOST_STRIDES) for name in ("rows", "columns"))
        shapes |= {2: stride * rows, 3: stride * columns}
    with _quiet():
        return torch.export.export(network, (example,), dynamic_shapes=(shapes,))


def _write_pt2(program: ExportedProgram, part: Path) -> Run:
    with _quiet():
        torch.export.save(program, part)
        loaded = torch.export.load(part).module()
    return lambda patches: logits_of(loaded, patches)


def _write_onnx(program: ExportedProgram, part: Path) -> Run:
    with _quiet():
        torch.onnx.export(
            program, (), str(part), dynamo=True, external_data=False, verbose=False, input_names=["patches"],
            output_names=["logits"],
        )  # fmt: skip
    runtime = import_module("onnxruntime")
    session = runtime.InferenceSession(str(part), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda patches: torch.from_numpy(session.run(None, {name: patches.numpy()})[0])


def _largest(network: nn.Module, run: Run, n_bands: int, stride: int, fixed_px: int | None) -> float:
    """Return the largest difference over batches, and edges where they are free, that it was not traced with."""
    edges = [(4 * stride, 2 * stride), (2 * stride, 5 * stride)] if fixed_px is None else [(fixed_px, fixed_px)]
    differences = []
    for n_patches in (1, 3):
        for height, width in edges:
            patches = random_patches(n_patches, n_bands, height, width)
            differences.append(largest_difference(run(patches), logits_of(network, patches)))
    return max(differences) if all(value == value for value in differences) else float("nan")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporters say of their own steps from the user's screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
