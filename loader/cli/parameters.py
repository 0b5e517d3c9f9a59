"""Turns declared options into options of click: names, types, environment variables and help."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
from rich_click import RichOption

from loader.cli.commands import Command
from loader.cli.variables import ENV_PREFIX
from loader.settings.option import DURATION, Declared, declared
from loader.settings.values import duration


def own_prefix(name: str, declaration: Command) -> str:
    """The text between ``RUNQY_LOADER_`` and an option's name in the name of its environment variable."""
    return f"{name.upper()}_" if declaration.own_variables else ""


def parameters(
    kind: type[Any], prefix: str = "", values: Mapping[str, Callable[[], Iterable[str]]] = MappingProxyType({})
) -> list[click.Parameter]:
    """The options of a class.

    Args:
        prefix: See ``own_prefix``.
        values: See ``Command``.
    """
    return [_parameter(one, prefix, values.get(one.name)) for one in declared(kind)]


def given(kind: type[Any], context: click.Context) -> Any:
    """An object of an options class, with the values from the command line, the environment or the configuration file.

    For options without such a value, the class's own defaults apply.
    """
    from_default = click.core.ParameterSource.DEFAULT
    values = {
        one.name: context.params[one.name]
        for one in declared(kind)
        if context.get_parameter_source(one.name) is not from_default
    }
    return kind(**values)


def _parameter(one: Declared, prefix: str, names: Callable[[], Iterable[str]] | None) -> click.Parameter:
    option = one.option
    required = one.default is dataclasses.MISSING
    text = f"{option.help} [default: {option.default_text}]" if option.default_text else option.help
    return RichOption(
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
    name = one.name.upper()
    own = [f"{ENV_PREFIX}{prefix}{name}"]
    if prefix and one.option.env:  # a server is the same for all commands
        own.append(f"{ENV_PREFIX}{name}")
    return [*own, *one.option.env]


def _shown_default(one: Declared) -> Any:
    is_seconds = one.option.unit == DURATION and isinstance(one.default, float)
    return f"{one.default:g}s" if is_seconds else one.default


def _type(one: Declared) -> click.ParamType[Any] | None:
    if one.is_switch:
        return None
    if one.choices:
        return click.Choice(one.choices) if not one.kinds else _NumberOrChoice(one.choices)
    if one.option.unit == DURATION:
        return _Seconds() if str not in one.kinds else click.STRING
    if Path in one.kinds:
        only_folders = one.option.unit == "DIR"
        return click.Path(path_type=Path, allow_dash=True, readable=False, file_okay=not only_folders)
    (kind,) = one.kinds
    return _TYPES[kind]


_TYPES: dict[type, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, str: click.STRING}


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
        return value if value in self._choices else click.INT.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(choice) for choice in self._choices if choice.startswith(incomplete)]
