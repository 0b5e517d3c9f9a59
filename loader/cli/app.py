"""The command tree, for click. A value comes from the command line, the environment, --config, defaults."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

import loader
from loader.cli import INTERRUPTED
from loader.cli.commands import COMMANDS, EXIT_STATUS, VARIABLES, Command, command
from loader.cli.config_file import check_table, read_config
from loader.cli.once import Once, Words
from loader.cli.stderr import LogFormat, log_as, tell
from loader.cli.variables import CONFIG, CONFIG_PATH, ENV_PREFIX, FROM_VARIABLE, misspelt_variables
from loader.errors import LoaderError, UsageError

PROGRAM = "runqy-loader"
_EXAMPLES = ("batch_size", "format", "timeout")
"""Options for which the help names the variable."""

_HELP = """Loads millions of tasks into a runqy/asynq queue on Redis: fast, exactly once, resumable.

To begin: runqy-loader load FILE --queue NAME --explain says what would be written, and where. Without --explain, it
loads.
"""
_CONFIG_HELP = "TOML file with options: a table a command, such as [load]."


_SETTINGS = {"help_option_names": ["--help", "-h"]}


class _Shown(click.Command):
    """A command whose help is drawn by rich-click."""

    def get_help(self, ctx: click.Context) -> str:
        from loader.cli.drawn_help import drawn_help  # 10 ms, and a command that runs shows no help

        ctx.color = True  # click shall not remove colours: rich-click has decided about them
        return drawn_help(ctx)


class _Commands(_Shown, click.Group):
    """Builds a command only when it runs or its help is shown. The list of commands needs only summaries."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return click.Command(cmd_name, short_help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            from difflib import get_close_matches  # only needed for a mistake

            if near := get_close_matches(args[0], COMMANDS, n=1):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        name, stub, rest = super().resolve_command(ctx, args)
        return name, stub if name is None else _built(name, command(name)), rest


class _Command(_Shown):
    """A command that is built from its declaration."""

    def __init__(self, name: str, declaration: Command, **attributes: Any) -> None:
        super().__init__(name=name, **attributes)
        self._usage = declaration.usage

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [self._usage]


def _built(name: str, declaration: Command) -> click.Command:
    from loader.cli.parameters import given, parameters  # the first page of help needs no options
    from loader.settings.check import check_outputs, prove_writable
    from loader.settings.option import declared

    options = [one for kind in declaration.options for one in parameters(kind, name, declaration)]
    text = inspect.getdoc(declaration.run) or ""
    taken = _arguments(declaration)
    known = [one for kind in declaration.options for one in declared(kind)]

    def configure(context: click.Context, _: click.Parameter, path: Path | None) -> None:
        if path is not None:
            context.meta[CONFIG_PATH] = path
        given_path = context.meta.get(CONFIG_PATH)
        if given_path is None or not known:
            return
        try:
            context.default_map = read_config(given_path).get(name, {})
            check_table(given_path, name, context.default_map, known)
        except UsageError as error:
            if path is not None or not context.meta.get(FROM_VARIABLE):
                raise
            raise UsageError(f"{CONFIG}: {error.args[0]}", error.hint) from error

    def run(**_: Any) -> int:
        context = click.get_current_context()
        arguments = [context.params[one.name] for one in taken if one.name is not None]
        values = [given(kind, context) for kind in declaration.options]
        log_as(_log_format(values), name)
        try:
            check_outputs(values, context.meta.get(CONFIG_PATH))
            prove_writable(values)
            return declaration.run(*arguments, *values)
        except KeyboardInterrupt:
            return INTERRUPTED  # click would print an empty line
        except EOFError as error:  # click would end as after Ctrl-C, without a word
            raise LoaderError(
                f"a file of Python's ends too early: {error}",
                "If the disk was full, a compiled module was cut short: delete the __pycache__ folders of runqy-loader",
            ) from error
        except UsageError as error:
            where = _origin(error, context)
            if not where:
                raise
            raise type(error)(f"{where}: {error.args[0]}", error.hint) from error

    return _Command(
        name,
        declaration,
        params=[*taken, *options, _config_option(configure)],
        callback=run,
        help=text,
        epilog=f"{_variables(options)}{declaration.exit_status}",
        context_settings=_SETTINGS,
    )


def _variables(options: Sequence[click.Parameter]) -> str:
    """How the options of a command are set elsewhere, with an example of its own; '' for a command without options."""
    with_value = [one for one in options if isinstance(one, click.Option) and not one.is_flag and one.envvar]
    if not with_value:
        return ""
    by_name = {one.name: one for one in with_value}
    example = next((by_name[name] for name in _EXAMPLES if name in by_name), with_value[0])
    variable = example.envvar if isinstance(example.envvar, str) else next(iter(example.envvar or ()), "")
    return VARIABLES.format(variable=variable, option=example.opts[0]) + " "


def _origin(error: UsageError, context: click.Context) -> str:
    """The variable or the file that the option at the beginning of a message was set by; '' for the command line."""
    from loader.cli.parameters import origin

    flag = str(error.args[0]).split(":")[0].split(" ")[0]
    found = next((one for one in context.command.params if flag in one.opts), None)
    return "" if found is None else origin(found, context)


def _arguments(declaration: Command) -> list[click.Parameter]:
    if declaration.argument is None:
        return []
    if declaration.choices:
        word = Words(
            [declaration.argument_name],
            declaration.argument,
            type=click.Choice(declaration.choices),
            required=False,
            metavar=declaration.argument_name.upper(),
        )
        return [word]
    return [
        Words(
            [declaration.argument_name],
            declaration.argument,
            nargs=-1,
            type=click.Path(allow_dash=True, readable=False),
            metavar="...",
        )
    ]


def _config_option(configure: Any, *, variable: str | None = None) -> click.Parameter:
    return Once(
        ["--config"],
        type=click.Path(path_type=Path, readable=False),
        metavar="FILE",
        envvar=variable,
        is_eager=True,  # other options take their defaults from it
        callback=configure,
        expose_value=False,
        help=_CONFIG_HELP,
        panel="Options",
    )


def _configure(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Leaves the file to the command, which reads it after --help: a broken file must not keep anyone from the help."""
    if path is not None:
        context.meta[CONFIG_PATH] = path
        source = context.get_parameter_source("config")
        context.meta[FROM_VARIABLE] = source is click.core.ParameterSource.ENVIRONMENT


def app() -> click.Group:
    """The whole tool."""
    group = _Commands(
        name=PROGRAM,
        help=_HELP,
        epilog=f"{VARIABLES.format(variable='RUNQY_LOADER_BATCH_SIZE', option='--batch-size')} {EXIT_STATUS}",
        params=[_config_option(_configure, variable=CONFIG)],
        context_settings=_SETTINGS,
        subcommand_metavar="COMMAND [OPTIONS]",
    )
    return click.version_option(loader.__version__, message="%(version)s")(group)


def launch(tokens: Sequence[str]) -> int:
    """Runs the tool and returns its exit status.

    Raises:
        click.ClickException, LoaderError: The error to show to the user.
    """
    if _early(tokens, "--log-format", "LOG_FORMAT") == "json":
        log_as("json", next((token for token in tokens if token in COMMANDS), ""))
    if not _is_quiet(tokens):
        for line in misspelt_variables():
            tell(f"{PROGRAM}: {line}", level="warning")
    status = app().main(list(tokens) or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    return status if isinstance(status, int) else 0


def _log_format(values: Sequence[Any]) -> LogFormat:
    """The value of ``--log-format``, wherever it comes from."""
    found: LogFormat = next((one.log_format for one in values if hasattr(one, "log_format")), "text")
    return found


def _early(tokens: Sequence[str], flag: str, variable: str) -> str | None:
    """The value of an option before click reads the options: their errors are told in the way that it asks for."""
    words = list(takewhile("--".__ne__, tokens))
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return os.environ.get(f"{ENV_PREFIX}{variable}")


def _is_quiet(tokens: Sequence[str]) -> bool:
    """Whether ``--quiet`` is given. This is read before click reads the options, whose errors follow these lines."""
    if "--quiet" in takewhile("--".__ne__, tokens):
        return True
    try:
        return bool(click.BOOL.convert(os.environ.get(f"{ENV_PREFIX}QUIET") or "0", None, None))
    except click.BadParameter:  # the command itself refuses the value
        return False
