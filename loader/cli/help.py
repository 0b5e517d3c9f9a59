"""How ``--help`` is laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions


class ReflowingFormatter:
    """Fills the lines of descriptions anew: where a docstring breaks its lines has nothing to do with the terminal.

    The rest is cyclopts' own formatter, imported only where help is shown.
    """

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        from rich.text import Text

        for entry in panel.entries:
            text = getattr(entry.description, "primary_renderable", None)
            if isinstance(text, Text):
                entry.description.primary_renderable = Text(" ".join(text.plain.split()))
        _default()(console, options, panel)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        _default().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        _default().render_description(console, options, description)


def _default() -> Any:
    from cyclopts.help import DefaultFormatter

    return DefaultFormatter()
