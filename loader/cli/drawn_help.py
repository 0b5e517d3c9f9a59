"""The help of a command, drawn by rich-click."""

from __future__ import annotations

from typing import Any

import click
from rich_click import RichCommand, RichContext, RichGroup, RichHelpConfiguration, RichOptionPanel

from loader.cli.once import Once


def drawn_help(context: click.Context) -> str:
    """The help of the command of a context."""
    return _rich(context).get_help()


def _rich(context: click.Context) -> RichContext:
    """The context of a command like this one that rich-click can draw."""
    return RichContext(
        _drawn(context),
        info_name=context.info_name,
        parent=context.parent and _rich(context.parent),
        help_option_names=context.help_option_names,
        rich_help_config=_shape(context.command.help or ""),
    )


def _shape(text: str) -> RichHelpConfiguration:
    """How a help is drawn.

    Args:
        text: Its text. If it has several paragraphs, an empty line follows the first.
    """
    return RichHelpConfiguration(
        theme="default-box",
        # The theme's yellow can hardly be read on white.
        style_usage="bold",
        style_metavar="magenta",
        text_markup=None,
        text_emojis=False,
        padding_helptext_first_line=(0, 0, int("\n\n" in text), 0),
        text_paragraph_linebreaks="\n\n",
        commands_before_options=True,
        options_table_column_types=["opt_short", "opt_long_metavar", "help"],
        append_metavars_help_string="{}",
    )


def _drawn(context: click.Context) -> RichCommand:
    command = context.command
    attributes: dict[str, Any] = {
        "name": command.name,
        "params": command.params,
        "help": command.help,
        "epilog": command.epilog,
    }
    if isinstance(command, click.Group):
        listed = [command.get_command(context, name) for name in command.list_commands(context)]
        known = [one for one in listed if one is not None]
        return RichGroup(**attributes, commands=known, subcommand_metavar=command.subcommand_metavar)
    groups = dict.fromkeys(["Arguments", *(one.panel for one in command.params if isinstance(one, Once)), "Options"])
    drawn = _Command(**attributes, panels=[RichOptionPanel(group) for group in groups])
    drawn.usage = command.collect_usage_pieces(context)
    return drawn


class _Command(RichCommand):
    """A command with its own usage."""

    usage: list[str]

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return self.usage
