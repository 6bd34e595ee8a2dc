"""The command that brings verdicts of people into an inventory."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def bring_verdicts(
    inventory: Path,
    *files: Path,
    review_file: Path | None = None,
    labels_dir: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Bring the verdicts of a review into its inventory: precision by tier and size, agreement, labels to learn from.

    Args:
        inventory: The inventory; it gets `verdicts` and `verdicts.json`.
        files: Verdicts that pages gave back; they are added to the review first.
        review_file: The file of the review; `review.sqlite` in the inventory if not given.
        labels_dir: Also write labels and footprints here, for `darts training create-dataset`: slumps as people left
            them, and ground that was mistaken for one.
        as_json: Print what was counted as one JSON document, and nothing else.
    """
    from darts.review.bringing import bring

    bring(inventory, files, review_file=review_file, labels_dir=labels_dir, as_json=as_json)
