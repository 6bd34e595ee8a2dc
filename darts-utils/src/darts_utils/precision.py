"""What networks can compute in, as users name it and as results record it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from darts_utils.errors import ConfigError

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
