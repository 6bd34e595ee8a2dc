"""Variables of the environment in the values of config files: `${NAME}`; `$${` is the text `${`."""

import os
import re
from pathlib import Path
from typing import Any

from darts.config.kinds import plain_types, shown
from darts_utils.errors import ConfigError
from darts_utils.paths import user_path

_VARIABLE = re.compile(r"(\$?)\$\{([^}]*)\}?")


def with_variables(key: str, value: Any, hint: Any) -> Any:
    """Return a value with its variables replaced; paths stay, for whoever makes paths of them does that.

    Args:
        key: Its key, for messages.
        value: The value; what is no text holds no variables.
        hint: The declared type.

    Raises:
        ConfigError: If a variable is not set.
    """
    if isinstance(value, list):
        return [with_variables(key, one, hint) for one in value]
    if not isinstance(value, str):
        return value
    if Path not in plain_types(hint):
        return _VARIABLE.sub(lambda found: _replaced(found, key, value), value)
    try:
        user_path(value)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error
    return value


def _replaced(found: re.Match[str], key: str, value: str) -> str:
    if found[1]:
        return found[0][1:]
    if found[2] not in os.environ:
        raise ConfigError(
            f"{key} is {shown(value)}, but ${{{found[2]}}} is not set. "
            "Set it, or write the value out ($${ is a text that is not replaced)."
        )
    return os.environ[found[2]]
