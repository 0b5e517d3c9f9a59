"""Turns declared options into options of click: names, types, environment variables and help."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from loader.cli.commands import ALL, Command
from loader.cli.once import Once
from loader.cli.variables import CONFIG_PATH, ENV_PREFIX
from loader.outputs.place import is_place
from loader.settings.option import DURATION, Declared, Excludes, declared
from loader.settings.values import duration

_RANKS = (
    click.core.ParameterSource.DEFAULT,
    click.core.ParameterSource.DEFAULT_MAP,
    click.core.ParameterSource.ENVIRONMENT,
    click.core.ParameterSource.COMMANDLINE,
)
"""Where a value comes from: each wins over those before it."""


def origin(option: click.Parameter, context: click.Context) -> str:
    """What set an option: a variable, or the configuration file; '' for the command line and defaults."""
    source = context.get_parameter_source(option.name or "")
    if source is click.core.ParameterSource.ENVIRONMENT:
        names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
        return next((name for name in names if os.environ.get(name)), "")
    if source is click.core.ParameterSource.DEFAULT_MAP:
        return f"--config {context.meta[CONFIG_PATH]}"
    return ""


def parameters(kind: type[Any], name: str, declaration: Command) -> list[click.Parameter]:
    """The options of a class.

    Args:
        name: Name of the command that has these options.
        declaration: The command.
    """
    return [
        _parameter(one, _own_prefix(one, name, declaration), declaration.values.get(one.name)) for one in declared(kind)
    ]


def _own_prefix(one: Declared, name: str, declaration: Command) -> str:
    """The text between ``RUNQY_LOADER_`` and an option's name in the name of its environment variable."""
    own = declaration.own_variables
    return f"{name.upper()}_" if own is ALL or one.name in own else ""


def given(kind: type[Any], context: click.Context) -> Any:
    """An object of an options class, with the values from the command line, the environment or the configuration file.

    For options without such a value, the class's own defaults apply.
    """
    ranks = {one.name: _RANKS.index(context.get_parameter_source(one.name)) for one in declared(kind)}
    for one in declared(kind):
        for relation in one.option.goes_with:
            # What the user says here and now wins over what contradicts it in the environment or a file.
            if isinstance(relation, Excludes) and relation.alternative and ranks[one.name] and ranks[relation.option]:
                lower, upper = sorted((one.name, relation.option), key=ranks.__getitem__)
                if ranks[lower] < ranks[upper]:
                    ranks[lower] = 0
    return kind(**{name: context.params[name] for name, rank in ranks.items() if rank})


def _parameter(one: Declared, prefix: str, names: Callable[[], Iterable[str]] | None) -> click.Parameter:
    option = one.option
    required = one.default is dataclasses.MISSING
    text = f"{option.help} [default: {option.default_text}]" if option.default_text else option.help
    return _Option(
        [one.flag, *([option.short] if option.short else []), one.name],
        type=_type(one) if names is None else _Registered(names),
        is_flag=one.is_switch or None,
        multiple=one.repeated,
        required=required,
        **({} if required else {"default": _shown_default(one)}),
        show_default=not (one.is_switch or one.repeated or one.default is None),
        envvar=_variables(one, prefix),
        metavar=None if one.is_switch or (one.choices and not one.kinds) else option.unit or None,
        help=text,
        panel=option.group,
    )


def _variables(one: Declared, prefix: str) -> list[str]:
    name = one.name.rstrip("_").upper()
    own = [f"{ENV_PREFIX}{prefix}{name}"]
    if prefix and one.option.env:  # a server is the same for all commands
        own.append(f"{ENV_PREFIX}{name}")
    return list(dict.fromkeys([*own, *one.option.env]))


def _shown_default(one: Declared) -> Any:
    is_seconds = one.option.unit == DURATION and isinstance(one.default, float)
    return f"{one.default:g}s" if is_seconds and one.default.is_integer() else one.default  # 0.1s is no duration


def _type(one: Declared) -> click.ParamType[Any] | None:
    if one.is_switch:
        return None
    if one.choices:
        return click.Choice(one.choices) if not one.kinds else _NumberOrChoice(one.choices)
    if one.option.unit == DURATION:
        return _Seconds() if str not in one.kinds else click.STRING
    if Path in one.kinds and str in one.kinds:
        return _FileOrPlace(path_type=Path, allow_dash=True, readable=False)
    if str in one.kinds:  # its own check reads a number as well
        return click.STRING
    if Path in one.kinds:
        only_folders = one.option.unit == "DIR"
        return _NamedPath(path_type=Path, allow_dash=True, readable=False, file_okay=not only_folders)
    (kind,) = one.kinds
    return _TYPES[kind]


_TYPES: dict[type, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, str: click.STRING}


class _Option(Once):
    """An option whose value is not the next option, taken by mistake."""

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        if not self.is_flag:
            given_values = opts.get(self.name)
            for value in given_values if isinstance(given_values, list | tuple) else [given_values]:
                self._refuse_mistake(value, ctx)
        return super().handle_parse_result(ctx, opts, args)

    def _refuse_mistake(self, value: Any, ctx: click.Context) -> None:
        if not isinstance(value, str):
            return
        if any(
            value.partition("=")[0] in one.opts for one in ctx.command.params if value.startswith("-") and value != "-"
        ):
            raise click.BadOptionUsage(self.opts[0], f"Option {self.opts[0]!r} requires an argument.", ctx)
        if value.startswith("=") and len(self.opts) > 1:
            short = self.opts[1]
            raise click.BadOptionUsage(
                short,
                f"The value of {self.opts[0]!r} begins with '='. Write {short} VALUE, or {self.opts[0]}=VALUE",
                ctx,
            )

    def value_from_envvar(self, ctx: click.Context) -> Any:
        if not self.multiple:
            return super().value_from_envvar(ctx)
        found = self.resolve_envvar_value(ctx)  # a value may hold spaces, at which click would split it
        return None if found is None else [line for line in found.splitlines() if line]


class _NamedPath(click.Path):
    """A path that is not empty: an empty one is a variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


class _FileOrPlace(_NamedPath):
    """A path, or the text of a place."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if isinstance(value, str) and is_place(value) else super().convert(value, param, ctx)


class _Seconds(click.ParamType[float]):
    """A duration in seconds. A plain number may have a fraction."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return duration(value, fractions=True) if isinstance(value, str) else float(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Registered(click.ParamType[str]):
    """One of the names that a registry has. To import it takes longer than to show help, so that is put off."""

    name = "name"

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names

    @property
    def choice(self) -> click.Choice[str]:
        return click.Choice(list(self._names()))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return self.choice.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        return self.choice.shell_complete(ctx, param, incomplete)


class _NumberOrChoice(click.ParamType["int | str"]):
    """A whole number, or one of several words."""

    name = "number"

    def __init__(self, choices: tuple[str, ...]) -> None:
        self._choices = choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if isinstance(value, str) and value.lower() in self._choices:
            return value.lower()
        return click.INT.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(choice) for choice in self._choices if choice.startswith(incomplete)]
