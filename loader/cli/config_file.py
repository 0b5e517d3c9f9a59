"""The configuration file (``--config``): TOML with a table for each command."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from loader.cli.commands import COMMANDS
from loader.errors import UsageError


def read_config(path: Path) -> dict[str, dict[str, Any]]:
    """Values of options by command and name (with underscores).

    Raises:
        UsageError: The file cannot be read, is not TOML, or holds something other than tables of commands.
    """
    import tomllib  # imported here: it takes 4 ms, and only this option needs it

    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}", "Check the path and its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: not valid TOML: {error}", "Correct the file") from error
    for key, value in content.items():
        if not isinstance(value, dict):
            raise UsageError(f"--config {path}: {key!r} stands outside a table", "Put it under [load]")
        if key not in COMMANDS:
            raise UsageError(f"--config {path}: there is no command {key!r}", f"Tables are: {', '.join(COMMANDS)}")
    return {command: {_name(key): value for key, value in table.items()} for command, table in content.items()}


def check_names(path: Path, command: str, table: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises UsageError if a command's table names an option that the command does not have."""
    from difflib import get_close_matches

    for name in table:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0].replace('_', '-')}?" if near else f"See runqy-loader {command} --help"
            raise UsageError(f"--config {path}: [{command}] has no option {name.replace('_', '-')!r}", hint)


def _name(key: str) -> str:
    return key.replace("-", "_")
