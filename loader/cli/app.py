"""The command tree, and where options come from: command line, then environment, then --config file, then default."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from cyclopts.config import Dict, Env

import loader
from loader.cli.front import COMMANDS, CONFIG, EPILOGUE, HELP, HELP_FLAGS, INSTALL_COMPLETION
from loader.cli.help import ReflowingFormatter
from loader.errors import UsageError

ENV_PREFIX = "RUNQY_LOADER_"
_CONFIG_VARIABLE = f"{ENV_PREFIX}CONFIG"
_RAISING: dict[str, Any] = {"exit_on_error": False, "print_error": False, "result_action": "return_value"}
"""Errors are raised, and what a command returns is returned."""

_WAIT_EPILOGUE = (
    "Exit status: 0 all completed; 1 error; 2 usage; 3 all done, but some failed or expired; 4 the time was up; "
    "130 interrupted. After 1, 4 and 130, the same command goes on."
)

_USAGE = {
    "load": "Usage: runqy-loader load PATH... --queue NAME [OPTIONS]",
    "doctor": "Usage: runqy-loader doctor [PATH...] [--queue NAME] [OPTIONS]",
}

app = App(
    name="runqy-loader",
    help=HELP,
    help_epilogue=EPILOGUE,
    version=loader.__version__,
    version_flags=["--version"],
    help_formatter=ReflowingFormatter(),
    help_format="plaintext",  # what it does by itself, Markdown, takes 30 ms to import
    default_parameter=Parameter(show_env_var=False, negative=""),
)

for _name, _help in COMMANDS.items():
    # By name: a command is imported when it is called, not for the help of all.
    app.command(
        f"loader.cli.{_name}:{_name}",
        name=_name,
        help=_help,
        usage=_USAGE.get(_name),
        help_epilogue=_WAIT_EPILOGUE if _name == "wait" else EPILOGUE,
    )
app.command(
    "loader.cli.completion:install_completion",
    name="--install-completion",
    help=INSTALL_COMPLETION,
    group=Group("Session", sort_key=9),
)

app.meta.group_parameters = Group("Session", sort_key=9)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[Path | None, Parameter(env_var=_CONFIG_VARIABLE, help=CONFIG)] = None,
) -> Any:
    """Reads the configuration file, then runs the command."""
    return _command(tokens, Dict(_read(config), source=str(config)) if config is not None else None)


def _command(tokens: Sequence[str], config: Dict | None = None) -> Any:
    configs = () if config is None else (config,)
    app.config = [Env(ENV_PREFIX, command=False), *configs]
    if "wait" in tokens:  # asking the app for a command imports it
        # RUNQY_LOADER_WAIT_TIMEOUT: what RUNQY_LOADER_TIMEOUT says of a load's connections is not how long to wait.
        app["wait"].config = [Env(ENV_PREFIX), *configs]
    return app(tokens, **_RAISING)


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # 4 ms that only this option needs

    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}", "Check the path and its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: not valid TOML: {error}", "Mend it") from error
    commands = [name for name in app if not name.startswith("-")]
    unknown = [key for key, value in content.items() if isinstance(value, dict) and key not in commands]
    if unknown:
        raise UsageError(f"--config {path}: there is no command {unknown[0]!r}", f"Tables are: {', '.join(commands)}")
    stray = [key for key, value in content.items() if not isinstance(value, dict)]
    if stray:
        raise UsageError(f"--config {path}: {stray[0]!r} stands outside a table", "Put it under [load]")
    return content


def _split_at_dashes(tokens: list[str]) -> tuple[list[str], list[str]]:
    """What stands before ``--``, and the rest from there on, which holds no options."""
    end = tokens.index("--") if "--" in tokens else len(tokens)
    return tokens[:end], tokens[end:]


def _config_first(tokens: list[str]) -> list[str]:
    """cyclopts reads an option that belongs to no command only before the command; users put it anywhere."""
    import argparse

    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--config")
    try:
        before, after = _split_at_dashes(tokens)
        found, rest = finder.parse_known_args(before)
    except argparse.ArgumentError as error:
        raise UsageError(str(error), "Name a TOML file") from error
    return tokens if found.config is None else ["--config", found.config, *rest, *after]


def _show_help(tokens: list[str]) -> int:
    """By itself, cyclopts first reads the rest of the line, for which it goes through all options of the command."""
    from rich.console import Console

    app.help_print(tokens, console=Console(emoji=False))
    return 0


def launch(tokens: list[str]) -> int:
    """Runs the tool; its exit status.

    Raises:
        CycloptsError, LoaderError: What to tell the user.
    """
    before, _ = _split_at_dashes(tokens)
    topic = [token for token in before if token not in HELP_FLAGS]
    if len(topic) < len(before) and (not topic or (topic[0] in app and not topic[0].startswith("-"))):
        return _show_help(topic)
    if _CONFIG_VARIABLE in os.environ or any(token.startswith("--config") for token in tokens):
        status = app.meta(_config_first(tokens), **_RAISING)
    else:
        status = _command(tokens)  # cyclopts takes 35 ms to find out that there is no --config
    return status if isinstance(status, int) else 0
