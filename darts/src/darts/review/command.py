"""`darts review`: people look at the slumps of an inventory, and say which are slumps."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from darts.review.places import Asked, DataPlaces
from darts_utils.paths import user_path


def review(
    inventory: Path,
    *,
    tiles: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    asked: Annotated[Asked | None, Parameter(name="*")] = None,
    review_file: Path | None = None,
    page: Path | None = None,
    port: int = 8765,
    show: Annotated[bool, Parameter(name="--open", negative="--no-open")] = True,
    data: Annotated[DataPlaces | None, Parameter(name="*")] = None,
) -> None:
    """Show the slumps of an inventory one by one on a page on this machine, and write down what people say of them.

    Verdicts lie in `review.sqlite` in the inventory; the same command goes on where it was stopped. Bring them into the
    inventory with `darts inventory verdicts`.

    Args:
        inventory: The inventory.
        tiles: Results folders of the runs that it was made of; the folder that it lies in if not given.
        asked: Which slumps are asked about.
        review_file: The file of the review, for a further one of the inventory; `review.sqlite` in it if not given.
        page: Write what is left to answer, with its pictures, into this one file instead, for people without an
            installation.
        port: Where the page listens.
        show: Open the page in a browser, where there is a screen.
        data: Where images and elevation lie, if not where the runs read them.
    """
    from darts.review.working import ReviewPlace, review_inventory, write_page
    from darts_postprocessing.inventory.said import inventory_in

    folder = inventory_in(user_path(inventory), to_change=True)
    place = ReviewPlace(
        inventory=folder,
        roots=[user_path(one) for one in tiles] if tiles else [folder.absolute().parent],
        file=None if review_file is None else user_path(review_file),
        data=data or DataPlaces(),
    )
    if page is not None:
        write_page(place, asked or Asked(), user_path(page))
    else:
        review_inventory(place, asked or Asked(), port=port, show=show)
