"""Training of the demo's models: `python -m darts.demo.train --folder work --model demo_with_tcvis`.

The training worlds have the seeds from 1000 on, so that any smaller seed is new to the models.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import nn

from darts.demo.training_data import BANDS, Sample, load_samples, make_planet_sample, make_sample
from darts_segmentation.models.checkpoint import load_model, save_checkpoint
from darts_utils.rasters.arrays import Array

logger = logging.getLogger(__name__)

MODEL_BANDS = {
    "demo_with_tcvis": BANDS,
    "demo_without_tcvis": BANDS[:10],
    "planet_without_tcvis": BANDS[:10],
}
"""Names of the models and their bands."""
_MODELS = Path(__file__).parent / "models"
_OPTICAL = [BANDS.index(band) for band in ("red", "green", "blue", "nir")]
_TRENDS = slice(10, 13)
_TERRAIN = slice(5, 10)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained."""

    first_seed: int = 1000
    """Seed of the first training world."""
    n_worlds: int = 24
    """Worlds to learn from."""
    world_px: int = 1024
    """Edge length of a world."""
    crop_px: int = 192
    """Edge length of a training patch."""
    batch_size: int = 8
    """Patches a step."""
    n_steps: int = 800
    """Steps."""
    learning_rate: float = 3e-3
    """Highest rate of the one-cycle schedule."""
    seed: int = 7
    """Seed of weights, crops and changes."""

    @property
    def seeds(self) -> range:
        """Seeds of the training worlds."""
        return range(self.first_seed, self.first_seed + self.n_worlds)


PLANET_TRAINING = Training(world_px=640, batch_size=6, n_steps=200, learning_rate=2e-3)
"""At 3 m a world has ten times as many pixels. The model starts from that for 10 m, and so needs fewer steps."""
_FIRST_WEIGHTS = {"planet_without_tcvis": "demo_without_tcvis"}
"""Models that go on from the weights of another one."""


def model_config(n_bands: int) -> dict[str, object]:
    """Return the architecture: a U-Net on half a MobileNetV2 down to a sixteenth of the resolution.

    It is small and quick on a CPU, and has no layer that looks at a whole patch, so results do not depend on patches.
    """
    return {
        "arch": "unet",
        "encoder_name": "tu-mobilenetv2_050",
        "encoder_depth": 4,
        "encoder_weights": None,
        "decoder_channels": [64, 48, 32, 16],
        "decoder_interpolation": "bilinear",
        "in_channels": n_bands,
        "classes": 1,
    }


def train(name: str, samples: Sequence[Sample], training: Training) -> nn.Module:
    """Return a trained network.

    Args:
        name: One of `MODEL_BANDS`.
        samples: What to learn from.
        training: How.
    """
    torch.manual_seed(training.seed)
    n_bands = len(MODEL_BANDS[name])
    model = _untrained(n_bands) if name not in _FIRST_WEIGHTS else load_model(_MODELS / f"{_FIRST_WEIGHTS[name]}.pt")[0]
    model = model.to(memory_format=torch.channels_last).requires_grad_(requires_grad=True).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=training.n_steps)
    for step, (inputs, labels, valid) in enumerate(batches(samples, training)):
        logits = model(inputs[:, :n_bands].contiguous(memory_format=torch.channels_last))[:, 0]
        loss = slump_loss(logits, labels, valid)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            logger.info("%s: step %d, loss %.4f", name, step, loss.item())
    return model.eval()


def _untrained(n_bands: int) -> nn.Module:
    model: nn.Module = smp.create_model(**model_config(n_bands))
    return model


def slump_loss(logits: torch.Tensor, labels: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Return cross entropy plus soft Dice over the valid pixels: one is for each pixel, the other for rare slumps."""
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    probabilities = torch.sigmoid(logits) * valid
    overlap = (probabilities * labels).sum()
    dice = 1 - (2 * overlap + 1) / (probabilities.sum() + (labels * valid).sum() + 1)
    return (entropy * valid).sum() / valid.sum().clamp(min=1) + 0.5 * dice


def batches(samples: Sequence[Sample], training: Training) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield batches of changed crops: features (n, band, y, x), labels and validity (n, y, x), all float32."""
    rng = np.random.default_rng(training.seed)
    for _ in range(training.n_steps):
        crops = [
            _crop(rng, samples[int(rng.integers(len(samples)))], training.crop_px) for _ in range(training.batch_size)
        ]
        yield tuple(torch.from_numpy(np.stack(parts).astype(np.float32)) for parts in zip(*crops, strict=True))


def _crop(rng: np.random.Generator, sample: Sample, size: int) -> tuple[Array, Array, Array]:
    """Return a changed square of a world, with a slump in it half of the time."""
    places = np.argwhere(sample.labels)
    limit = np.array(sample.labels.shape) - size
    if len(places) and rng.random() < 0.5:
        start = places[rng.integers(len(places))] - rng.integers(0, size, 2)
    else:
        start = rng.integers(0, limit + 1)
    row, column = (int(value) for value in np.clip(start, 0, limit))
    window = (slice(row, row + size), slice(column, column + size))
    features = sample.features[:, *window].astype(np.float32)
    labels, valid = sample.labels[window], sample.valid[window]
    features = _changed(rng, features) * valid
    if rng.random() < 0.5:
        return _mirrored(features), labels[:, ::-1], valid[:, ::-1]
    return features, labels, valid


def _changed(rng: np.random.Generator, features: Array) -> Array:
    """Return features as on another day: other light, other trend level, now and then without elevation."""
    features[_OPTICAL] *= rng.normal(1, 0.06) * rng.normal(1, 0.02, (4, 1, 1))
    features[_OPTICAL] += rng.normal(0, 0.01)
    features[_TRENDS] += rng.normal(0, 0.02, (3, 1, 1))
    if rng.random() < 0.1:
        row, column = rng.integers(0, features.shape[1], 2)
        features[_TERRAIN, row : row + 40, column : column + 40] = 0
    return np.clip(features, 0, 1)


def _mirrored(features: Array) -> Array:
    """Return features with east and west exchanged; directions are turned too, and the sun with them."""
    mirrored = features[:, :, ::-1].copy()
    aspect = mirrored[BANDS.index("aspect")]
    aspect[aspect > 0] = 1 - aspect[aspect > 0]
    return mirrored


def save(name: str, model: nn.Module, training: Training, path: Path) -> None:
    """Write a trained network as a checkpoint with half-precision weights."""
    weights = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    bands = MODEL_BANDS[name]
    save_checkpoint(path, model_config(len(bands)), bands, weights, metadata={"training": asdict(training)})


def main() -> None:
    """Train one model and write it."""
    parser = argparse.ArgumentParser(description="Train a model of the demo.")
    parser.add_argument("--folder", type=Path, required=True, help="where training samples are kept")
    parser.add_argument("--model", choices=sorted(MODEL_BANDS), required=True)
    parser.add_argument("--output", type=Path, default=_MODELS)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    of_planet = arguments.model in _FIRST_WEIGHTS
    training = PLANET_TRAINING if of_planet else Training()
    make = make_planet_sample if of_planet else make_sample
    output = arguments.output / "planet" if of_planet else arguments.output
    samples = load_samples(training.seeds, training.world_px, arguments.folder, make)
    model = train(arguments.model, samples, training)
    save(arguments.model, model, training, output / f"{arguments.model}.pt")


if __name__ == "__main__":
    main()
