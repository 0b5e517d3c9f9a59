"""The page of each command, from its declaration. The man pages are made from the same pages."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import click

from docsite.rest import escaped, heading, literal
from loader.cli.app import PROGRAM
from loader.cli.commands import COMMANDS, Command, command
from loader.cli.parameters import parameters

FOLDER = "docs/reference/commands"


def pages() -> Iterator[tuple[str, str]]:
    """The path and the text of each page."""
    yield f"{FOLDER}/index.rst", _index()
    for name in COMMANDS:
        yield f"{FOLDER}/{name}.rst", _page(name, command(name))


def man_pages() -> list[tuple[str, str, str, list[str], int]]:
    """Sphinx's ``man_pages``: the page, the name, the summary, the authors and the section."""
    authors = ["The runqy-loader authors"]
    summary = "load millions of tasks into a runqy or asynq queue on Redis, exactly once"
    each = [
        (f"{FOLDER}/{name}", f"{PROGRAM}-{name}", text.removesuffix(".").lower(), authors, 1)
        for name, text in COMMANDS.items()
    ]
    return [(f"{FOLDER}/index", PROGRAM, summary, authors, 1), *each]


def _index() -> str:
    rows = "\n".join(f"   * - :doc:`{name} <{name}>`\n     - {escaped(summary)}" for name, summary in COMMANDS.items())
    toctree = "\n".join(f"   {name}" for name in COMMANDS)
    return f"""{heading("Commands", "=")}
{literal(f"{PROGRAM} COMMAND [OPTIONS]")}

.. list-table::
   :widths: 20 80

{rows}

Each option can also be set in the environment (the name stands with each option), and in the table of its command in
a TOML file that ``--config FILE`` or the variable ``RUNQY_LOADER_CONFIG`` names: a table ``[load]`` with
``batch-size = 500``. The command line has priority over the environment, and the environment over the file.

``{PROGRAM} COMMAND --help`` shows what stands here. ``{PROGRAM} completion bash`` (or ``fish``, ``zsh``) prints a
script for shell completion.

.. toctree::
   :hidden:

{toctree}
"""


def _page(name: str, declaration: Command) -> str:
    text = inspect.getdoc(declaration.run) or ""
    parts = [
        heading(f"{PROGRAM} {name}", "="),
        f".. program:: {PROGRAM} {name}\n",
        heading("Synopsis", "-"),
        f"{literal(f'{PROGRAM} {name} {declaration.usage}')}\n",
        heading("Description", "-"),
        f"{escaped(text)}\n",
    ]
    if declaration.argument is not None:
        parts += [
            heading("Arguments", "-"),
            f"{literal(declaration.argument_name.upper())}\n",
            _indented(declaration.argument),
        ]
    by_group: dict[str, list[click.Option]] = {}
    for kind in declaration.options:
        for one in parameters(kind, name, declaration):
            assert isinstance(one, click.Option)  # noqa: S101 - an options class declares nothing else
            by_group.setdefault(getattr(one, "panel", "") or "Options", []).append(one)
    for group, options in by_group.items():
        parts.append(heading(group.partition(" (docs/")[0], "-"))
        parts += [_option(one) for one in options]
    parts += [
        heading("Exit status", "-"),
        escaped(declaration.exit_status.removeprefix("Exit status: ").capitalize()),
        "",
    ]
    return "\n".join(parts)


def _option(one: click.Option) -> str:
    names = sorted(one.opts, key=len)
    value = "" if one.is_flag else f" {one.metavar or _kind(one)}"
    label = ", ".join(f"{name}{value}" for name in names)
    text = (
        escaped(one.help or "").replace("[default:", "Default:").replace("]", ".")
        if "[default:" in (one.help or "")
        else escaped(one.help or "")
    )
    more = []
    if isinstance(one.type, click.Choice):
        more.append("One of " + ", ".join(literal(choice) for choice in one.type.choices) + ".")
    if one.required:
        more.append("Required.")
    elif one.show_default and one.default not in (None, ()):
        more.append(f"Default: {literal(str(one.default))}.")
    variables = [one.envvar] if isinstance(one.envvar, str) else list(one.envvar or ())
    if variables:
        more.append("Environment: " + ", ".join(map(literal, variables)) + ".")
    return f".. option:: {label}\n\n{_indented(text)}\n{_indented(' '.join(more))}"


def _kind(one: click.Option) -> str:
    if isinstance(one.type, click.Choice):
        return "|".join(one.type.choices)
    return str(one.type.name).upper()


def _indented(text: Any) -> str:
    return f"   {text}\n"
