"""The path at which users' scripts import what writes the arguments of a call; it lives in `darts_utils.toml`."""

from darts_utils.toml import write_function_args_to_config_file

__all__ = ["write_function_args_to_config_file"]
