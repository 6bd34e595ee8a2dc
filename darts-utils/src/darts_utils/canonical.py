"""Plain values as text of which there is only one form, and its hash."""

import hashlib
import json


def canonical(value: object) -> bytes:
    """Return a plain value as JSON: sorted keys, no spaces, UTF-8.

    Raises:
        ValueError: If a number in it is NaN or infinite.
        TypeError: If something in it is not a plain value.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def sha256_of(value: object) -> str:
    """Return the SHA-256 of a plain value in its canonical form, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()
