"""Parameters of click: options that take one value, and arguments with a help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.parser import _OptionParser


class Words(click.Argument):
    """Positional arguments.

    Attributes:
        help: Their help.
    """

    def __init__(self, names: Sequence[str], text: str, **attributes: Any) -> None:
        super().__init__(names, **attributes)
        self.help = text


class Once(click.Option):
    """An option that may be repeated on the command line only with the same value, as an alias and its user may do.

    If it were given with two values, one of them would be passed over.

    Attributes:
        panel: The heading of its part of the help.
    """

    def __init__(self, names: Sequence[str], *, panel: str, **attributes: Any) -> None:
        super().__init__(names, **attributes)
        self.panel = panel

    def add_to_parser(self, parser: _OptionParser, ctx: click.Context) -> None:
        if self.is_flag or self.multiple:
            super().add_to_parser(parser, ctx)
        else:
            parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=self.nargs)

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        values = opts.get(self.name)
        if not (self.is_flag or self.multiple) and isinstance(values, list):
            if any(value != values[0] for value in values):
                raise click.BadOptionUsage(self.opts[0], self._told_twice(values), ctx)
            opts = {**opts, self.name: values[-1]}
        return super().handle_parse_result(ctx, opts, args)

    def _told_twice(self, values: list[Any]) -> str:
        shown = " and as ".join(repr(value) for value in dict.fromkeys(map(str, values)))
        given = "with different values" if "://" in shown else f"as {shown}"  # a URL may hold a password
        return (
            f"{self.opts[0]} is given twice, {given}. Give it once; for a default that can be replaced, use the "
            f"environment or --config."
        )
