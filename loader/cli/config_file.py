"""The configuration file (``--config``): TOML with a table for each command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import Any

from loader.cli.commands import COMMANDS
from loader.errors import UsageError
from loader.settings.check import wrong_type
from loader.settings.option import Declared


def read_config(path: Path) -> dict[str, dict[str, Any]]:
    """Values of options by command and name (with underscores).

    Raises:
        UsageError: The file cannot be read, is not TOML, or holds something other than tables of commands.
    """
    import tomllib  # imported here: it takes 4 ms, and only this option needs it

    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))  # Windows editors write a byte order mark
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}", "Check the path and its permissions") from error
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, and that of a number with too many digits
        raise UsageError(f"--config {path}: not valid TOML: {error}", "Correct the file") from error
    except RecursionError as error:
        raise UsageError(f"--config {path}: it is nested too deeply", "Correct the file") from error
    for key, value in content.items():
        if not isinstance(value, dict):
            raise UsageError(f"--config {path}: {key!r} stands outside a table", "Put it under [load]")
        if key not in COMMANDS:
            raise UsageError(f"--config {path}: there is no command {key!r}", f"Tables are: {', '.join(COMMANDS)}")
    return {command: _by_name(path, command, table) for command, table in content.items()}


def check_table(path: Path, command: str, table: Mapping[str, Any], options: Iterable[Declared]) -> None:
    """Raises UsageError if a table names an option that its command does not have, or has a value of another type."""
    from difflib import get_close_matches

    known = {one.name: one for one in options}
    for name, value in table.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {_shown(near[0])}?" if near else f"See runqy-loader {command} --help"
            raise UsageError(f"--config {path}: [{command}] has no option {_shown(name)!r}", hint)
        if (wanted := wrong_type(known[name], value)) is not None:
            raise UsageError(f"--config {path}: {_shown(name)} must be {wanted}, not {value!r}")


def _by_name(path: Path, command: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a table by the names of options, which may be written with dashes or underscores."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        name += "_" if iskeyword(name) else ""  # as the option's field
        if name in values:
            raise UsageError(
                f"--config {path}: [{command}] gives {_shown(name)!r} twice, with '-' and with '_'", "Give it once"
            )
        values[name] = value
    return values


def _shown(name: str) -> str:
    """An option's name as it is written in the file."""
    return name.removesuffix("_").replace("_", "-")
