"""The command tree, and where options come from: command line, then environment, then --config file, then default."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from cyclopts.config import Dict, Env

import loader
from loader.cli.load import load
from loader.errors import UsageError

ENV_PREFIX = "RUNQY_LOADER_"

_EPILOGUE = (
    "Every option can also be set in the environment (RUNQY_LOADER_BATCH_SIZE for --batch-size) and in the table of "
    "its command in a TOML file given with --config. Exit status: 0 all in; 1 failed; 2 usage; 3 completed with "
    "rejects; 130 interrupted."
)

app = App(
    name="runqy-loader",
    help="Loads millions of tasks into a runqy/asynq queue on Redis: fast, exactly once, resumable.",
    help_epilogue=_EPILOGUE,
    version=loader.__version__,
    version_flags=["--version"],
    default_parameter=Parameter(show_env_var=False, negative=""),
)
app.command(load, help_epilogue=_EPILOGUE)
app.register_install_completion_command(name="--install-completion", group=Group("Session", sort_key=9))

app.meta.group_parameters = Group("Session", sort_key=9)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[Path | None, Parameter(env_var=f"{ENV_PREFIX}CONFIG")] = None,
) -> Any:
    """Reads the configuration file, then runs the command.

    Parameters
    ----------
    config
        TOML file with options: a table a command, such as [load].
    """
    app.config = [Env(ENV_PREFIX, command=False)]
    if config is not None:
        app.config = [*app.config, Dict(_read(config), source=str(config))]
    return app(tokens, exit_on_error=False, print_error=False, result_action="return_value")


def _read(path: Path) -> dict[str, Any]:
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


def launch(tokens: list[str]) -> int:
    """Runs the tool; its exit status.

    Raises:
        CycloptsError, LoaderError: What to tell the user.
    """
    # The library reads an option that belongs to no command only before the command; users put it anywhere.
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--config")
    try:
        found, rest = finder.parse_known_args(tokens)
    except argparse.ArgumentError as error:
        raise UsageError(str(error), "Name a TOML file") from error
    if found.config is not None:
        tokens = ["--config", found.config, *rest]
    status = app.meta(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    return status if isinstance(status, int) else 0
