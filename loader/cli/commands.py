"""The commands: a new one is one module in this package and one line in ``COMMANDS``."""

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
"""Name and summary. The module of a command has its name; it is imported when the command is run or its help shown."""

VARIABLES = (
    "Every option can also be set in the environment (RUNQY_LOADER_BATCH_SIZE for --batch-size) and in the table of "
    "its command in a TOML file given with --config."
)
EXIT_STATUS = "Exit status: 0 all in; 1 failed; 2 usage; 3 completed with rejects; 130 interrupted."


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, as its module declares it in ``COMMAND``.

    Attributes:
        run: Called with what was given: the arguments, where it takes some, then one object of each class in
            ``options``. Returns the exit status. Its docstring is the command's help.
        options: Classes whose fields are its options; see ``loader.settings.option``.
        argument: Help of its positional arguments; None where it takes none.
        argument_name: What help calls them, in lower case.
        choices: What its one argument may be; empty for any number of paths.
        values: By the name of an option, what gives its choices, where a registry has them. It is called once a value
            is given, or to be completed.
        usage: What follows the name in the first line of its help.
        exit_status: What its exit status means.
        own_variables: Whether its options are set by ``RUNQY_LOADER_<COMMAND>_<NAME>``, as one of them means something
            else than the same name in other commands.
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
    found: Command = import_module(f"loader.cli.{name}").COMMAND
    return found
