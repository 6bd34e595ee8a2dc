"""The slumps of an inventory as reviewers see them: pictures of years, outlines, and nothing that tells a verdict."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from darts.inventory.layers import read_part
from darts.review.imagery import Imagery
from darts.review.render import picture_of, shade_picture
from darts.review.store import Question, Said
from darts_postprocessing.review.frames import SCALES, Frame
from darts_postprocessing.review.looks import looks_at
from darts_utils.errors import DataError, MissingDataError
from darts_utils.rasters.arrays import Array

SIZE_PX = 384
_KEPT = 96
"""Grounds in memory, of 2.4 MB each."""


def grid_of(frame: Frame, scale: str) -> GeoBox:
    """Return the grid of a picture, `close` or `wide`: north up in its middle."""
    side = frame.side_m(scale)
    pixel = side / SIZE_PX
    return GeoBox((SIZE_PX, SIZE_PX), Affine(pixel, 0, -side / 2, 0, -pixel, side / 2), frame.crs)


class Candidates:
    """The slumps of an inventory with the images that they were found on.

    Args:
        inventory: Its folder.
        imagery: Where the images are.
    """

    def __init__(self, inventory: Path, imagery: Imagery) -> None:
        self._imagery = imagery
        slumps = read_part(inventory, "slumps", ["slump_id", "year", "geometry"])
        keys = zip(slumps["slump_id"], slumps["year"].astype(int), strict=True)
        self._outlines: Mapping[tuple[str, int], Any] = dict(zip(keys, slumps.geometry, strict=True))
        self._looks = read_part(inventory, "looks", ["image_id", "acquired", "year", "geometry"])
        self._objects = read_part(inventory, "objects", ["image_id", "geometry"])
        self._ground = lru_cache(maxsize=_KEPT)(self._read_ground)
        self._images = lru_cache(maxsize=4 * _KEPT)(self._find_images)
        self._frame = lru_cache(maxsize=4 * _KEPT)(Frame.around)
        self._reading = Lock()  # readers of rasters share caches; one picture at a time is fast enough

    @property
    def slumps(self) -> frozenset[tuple[str, int]]:
        """All slumps of the inventory, each with its year."""
        return frozenset(self._outlines)

    def outline(self, question: Question) -> Any:
        """Return the outline that is asked about, in degrees.

        Raises:
            MissingDataError: If the inventory has no such slump any more.
        """
        try:
            return self._outlines[question.slump_id, question.year]
        except KeyError as error:
            raise MissingDataError(
                f"the inventory has no slump {question.slump_id} in {question.year} any more. Begin another review."
            ) from error

    def frame(self, question: Question) -> Frame:
        """Return the ground around what is asked about."""
        return self._frame(self.outline(question))

    def facts(self, question: Question, said: Said | None = None) -> dict[str, Any]:
        """Return what a page shows of a question; nothing in it tells how sure the models were.

        Args:
            question: What is asked.
            said: What the reviewer said of it before.
        """
        frame = self.frame(question)
        images = self._images(question)
        return {
            "question": question.id,
            "year": question.year,
            "longitude": frame.longitude,
            "latitude": frame.latitude,
            "sides": {scale: frame.side_m(scale) for scale in SCALES},
            "outline": frame.rings(self.outline(question)),
            "years": [self._year(question, frame, year, image) for year, image in images.items()],
            "terrain": [scale for scale in SCALES if self._shade(question, scale) is not None],
            "said": None if said is None else self._said(frame, said),
        }

    def _year(self, question: Question, frame: Frame, year: int, image: pd.Series) -> dict[str, Any]:
        outline = self._outlines.get((question.slump_id, year))
        rings = None if outline is None else frame.rings(outline)
        return {"year": year, "image": image["image_id"], "acquired": image["acquired"], "outline": rings}

    @staticmethod
    def _said(frame: Frame, said: Said) -> dict[str, Any]:
        outline = None if said.outline is None else frame.rings(shapely.from_wkt(said.outline))
        return {"verdict": said.verdict, "note": said.note, "outline": outline}

    def picture(self, question: Question, year: int, scale: str, kind: str) -> bytes:
        """Return a picture as JPEG.

        Args:
            question: What is asked.
            year: The year of the image; terrain has none.
            scale: `close` or `wide`.
            kind: `colour`, `ndvi`, `nir` or `terrain`.

        Raises:
            MissingDataError: If there is none.
        """
        if kind == "terrain":
            shade = self._shade(question, scale)
            if shade is None:
                raise MissingDataError("there is no elevation of this ground")
            return shade_picture(shade)
        images = self._images(question)
        if year not in images:
            raise MissingDataError(f"no image of {year} shows this ground")
        image_id = str(images[year]["image_id"])
        with self._reading:
            ground, around = (self._ground(question, image_id, one) for one in (scale, "wide"))
        if ground is None or around is None:
            raise MissingDataError(f"no image of {year} shows this ground")
        return picture_of(kind, ground, around)

    def _read_ground(self, question: Question, image_id: str, scale: str) -> Array | None:
        return self._imagery.ground(image_id, grid_of(self.frame(question), scale))

    def _shade(self, question: Question, scale: str) -> Array | None:
        with self._reading:
            return self._shades(question, scale)

    @cached_property
    def _shades(self) -> Any:
        return lru_cache(maxsize=_KEPT)(
            lambda question, scale: self._imagery.shade(grid_of(self.frame(question), scale))
        )

    def _find_images(self, question: Question) -> dict[int, pd.Series]:
        """Return the image of each year that shows a slump best, of those that are at hand; years in rising order."""
        looks = looks_at(self.outline(question), self._looks, self._objects)
        found: dict[int, pd.Series] = {}
        for year, of_year in looks.groupby("year", sort=True):
            for _, look in of_year.iterrows():
                with self._reading:
                    ground = self._ground(question, str(look["image_id"]), "close")
                if ground is not None:
                    found[int(year)] = look
                    break
        return found


def check_pictured(candidates: Candidates, questions: list[Question]) -> None:
    """Refuse to begin where no image of the first questions can be shown: people would judge from nothing.

    Raises:
        DataError: If there is none.
    """
    if questions and not any(candidates.facts(one)["years"] for one in questions):
        raise DataError(
            "no image is at hand of the first slumps. Name the results folders with --tiles, and with --raw-data-store "
            "or --scenes-dir where their images are; or export tiles with --export-bands optical."
        )
