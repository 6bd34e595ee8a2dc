"""What parameters that several packages take may be, and the one sentence that refuses anything else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from darts_utils.errors import ConfigError

type QualityLevel = Literal[0, 1, 2, "none", "low_quality", "high_quality"]

QUALITY_LEVELS = {"none": 0, "low_quality": 1, "high_quality": 2}
"""Least quality of ground that counts: all of it, low quality and better, high quality only."""

type Tta = Literal["none", "minimal", "standard", "full"]

TTA_VIEWS: dict[Tta, int] = {"none": 1, "minimal": 2, "standard": 4, "full": 8}
"""Views of a patch that test-time augmentation averages: each set holds those before it."""

TCVIS_YEARS = (2019, 2020, 2022, 2024)
"""Last years of the twenty that trends of Landsat were made of."""


def quality_level_number(level: QualityLevel | int) -> int:
    """Return a quality level as a number, as it stands in `quality_data_mask`.

    Raises:
        ConfigError: If there is no such level.
    """
    number = QUALITY_LEVELS.get(level, -1) if isinstance(level, str) else level
    if number not in QUALITY_LEVELS.values():
        raise ConfigError(f"quality_level is {level!r} but must be none (0), low_quality (1) or high_quality (2).")
    return int(number)


def check_tta(tta: str) -> None:
    """Refuse a set of views that there is not.

    Raises:
        ConfigError: If there is none of this name.
    """
    if tta not in TTA_VIEWS:
        raise ConfigError(f"tta is {tta!r} but must be {', '.join(TTA_VIEWS)}: 1, 2, 4 or 8 views of each patch.")


def check_uncertainty(tta: Tta, n_models: int) -> None:
    """Refuse the spread of one model that sees one view.

    Raises:
        ConfigError: If nothing varies.
    """
    if n_models * TTA_VIEWS[tta] == 1:
        raise ConfigError(
            "uncertainty is the spread of models and of views, but there is one model, and tta none shows it one view. "
            "Add a model, or --tta minimal, standard or full, or leave uncertainty out."
        )


def check_overlap(overlap: int, patch_size: int) -> None:
    """Refuse patches of which one does not lead beyond the one before.

    Raises:
        ConfigError: If the overlap is not below the patch size.
    """
    if overlap >= patch_size:
        raise ConfigError(
            f"overlap is {overlap} px but must be below patch_size ({patch_size} px)."
            " Lower overlap or raise patch_size."
        )


def check_tcvis_year(year: int | None) -> None:
    """Refuse a year up to which there are no trends.

    Raises:
        ConfigError: If there are none.
    """
    if year is not None and year not in TCVIS_YEARS:
        *first, last = map(str, TCVIS_YEARS)
        raise ConfigError(
            f"tcvis_year is {year} but must be {', '.join(first)} or {last}: the last of the twenty years of trends. "
            "Correct it, or leave it out to read those that suit each image."
        )


type Dtype = Literal["float32", "bfloat16", "float16"]
type Exact = Literal["nothing", "ends", "encoder"]

_WORDS: Mapping[Exact, str] = {
    "nothing": "",
    "ends": "first convolution and head in float32",
    "encoder": "encoder and head in float32",
}


@dataclass(frozen=True)
class Precision:
    """What networks compute in."""

    dtype: Dtype = "float32"
    exact: Exact = "nothing"
    """Which part of a network computes in float32 all the same: inputs of 0 to 1 lose most in the first convolution."""

    def __str__(self) -> str:
        """Return it in words."""
        return ", ".join(filter(None, (self.dtype, _WORDS[self.exact])))

    @property
    def document(self) -> dict[str, str]:
        """What of it decides results, for their fingerprint; what stays in float32 only where something does."""
        return {"precision": self.dtype, **({} if self.exact == "nothing" else {"float32_parts": self.exact})}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Precision | None":
        """Return what a fingerprint says of it, None if nothing that there is."""
        given = (document.get("precision"), document.get("float32_parts", "nothing"))
        return next((one for one in PRECISIONS if (one.dtype, one.exact) == given), None)


FLOAT32 = Precision()
BFLOAT16 = Precision("bfloat16", "ends")
BFLOAT16_DECODER = Precision("bfloat16", "encoder")
FLOAT16 = Precision("float16")
PRECISIONS = (FLOAT32, BFLOAT16, BFLOAT16_DECODER, FLOAT16)
_NAMED = {one.dtype: one for one in (FLOAT32, BFLOAT16, FLOAT16)}


def precision_named(name: str) -> Precision:
    """Return what a name asks for: bfloat16 keeps both ends of a network in float32.

    Raises:
        ConfigError: If there is no such one.
    """
    if name not in _NAMED:
        raise ConfigError(f"precision is {name!r} but must be {', '.join(_NAMED)}.")
    return _NAMED[name]
