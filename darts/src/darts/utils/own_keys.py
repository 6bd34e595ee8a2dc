"""Keys of config files that no command declares, because the options of every command read them."""

from typing import Any

OWN_KEYS: dict[str, Any] = {}
"""Their types by name."""
