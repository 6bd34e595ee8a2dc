"""The card of a model file of any layout, with nothing heavy imported for those that have one in their header."""

from pathlib import Path

from darts_segmentation.models.card import ModelCard, check_ranges, read_card
from darts_segmentation.models.wording import listed
from darts_utils.bands import manager
from darts_utils.errors import CheckpointError

SUFFIXES = (".safetensors", ".pt", ".ckpt")
"""Names of model files end in one of these, in whatever case."""


def card_of(path: Path) -> ModelCard:
    """Return what a file says of its model, its bands known to this release; weights are not read.

    Args:
        path: A model file of any layout. The id of one without a card in its header is not known yet, see
            `darts_segmentation.models.checkpoint.model_id`.

    Raises:
        CheckpointError: If the file is not a usable model.
    """
    if path.suffix.lower() != SUFFIXES[0]:
        from darts_segmentation.models.checkpoint import read_checkpoint

        return read_checkpoint(path).card
    card = read_card(path)
    unknown = [name for name in card.band_names if name not in manager]
    if unknown:
        raise CheckpointError(
            f"{path} needs the unknown bands {listed(unknown)}; known bands: {', '.join(manager)}."
            " Use the release that trained it."
        )
    check_ranges(path, card.bands)
    return card
