"""The commands. A new command is one module in this package and one line in ``COMMANDS``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

COMMANDS = {
    "completion": "Print the completion script of a shell.",
    "doctor": "Check a server before a load: version, role, rights, memory, persistence, clock, layout.",
    "export": "Write pending tasks to a file, without disturbing workers.",
    "inspect": "Show queues, jobs and single tasks.",
    "load": "Load payload files into a queue, exactly once.",
    "migrate": "Copy or move tasks to another queue, layout or server, exactly once.",
    "serve": "Serve runqy's enqueueing API over HTTP.",
    "wait": "Wait for the results of tasks and write them as they come.",
}
"""Summaries by name. The module of a command has the same name. It is imported only when the command runs or its help
is shown."""

VARIABLES = (
    "Every option can also be set in the environment (RUNQY_LOADER_BATCH_SIZE for --batch-size) and in the table of "
    "its command in a TOML file given with --config."
)
EXIT_STATUS = "Exit status: 0 all in; 1 failed; 2 usage; 3 completed with rejects; 130 interrupted."


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, as its module declares it in ``COMMAND``.

    Attributes:
        run: The function of the command. Its parameters are the positional arguments, if there are any, then one object
            of each class in ``options``. It returns the exit status. Its docstring is the command's help.
        options: Classes whose fields are its options; see ``loader.settings.option``.
        argument: Help for its positional arguments; None if it takes none.
        argument_name: Their name in the help, in lower case.
        choices: The allowed values of its only argument; empty if it takes any number of paths.
        values: By the name of an option, a function that returns the option's choices from a registry. It is called
            only when a value is given or completed.
        usage: The text after the name in the first line of its help.
        exit_status: The meaning of its exit status.
        own_variables: Whether the variables of its options are ``RUNQY_LOADER_<COMMAND>_<NAME>``. This is needed if one
            of its options has another meaning than the option of the same name in other commands.
    """

    run: Callable[..., int]
    options: tuple[type[Any], ...]
    argument: str | None = None
    argument_name: str = "path"
    choices: tuple[str, ...] = ()
    values: Mapping[str, Callable[[], Iterable[str]]] = field(default_factory=dict)
    usage: str = "[OPTIONS]"
    exit_status: str = EXIT_STATUS
    own_variables: bool = False


def command(name: str) -> Command:
    """The command of this name, one of ``COMMANDS``."""
    declaration: Command = import_module(f"loader.cli.{name}").COMMAND
    return declaration
