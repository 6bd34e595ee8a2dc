"""Keys of config files that no command declares, because the options of every command read them."""

from typing import Any

from darts.config.declared import Declared

_OWN = (
    Declared(
        "keep_logs",
        int,
        30,
        "Days after which log files are removed that no run writes to any more; 0 keeps all.",
        "every command",
    ),
)
OWN_KEYS: dict[str, Any] = {one.name: one.hint for one in _OWN}
"""Their types by name."""


def own_keys() -> list[Declared]:
    """Return all that is declared of them."""
    return list(_OWN)
