"""The commands. A new command is one module in this package and one line in ``COMMANDS``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

COMMANDS = {
    "compare": "Compare the reports of two loads: what changed beyond noise.",
    "completion": "Print the completion script of a shell.",
    "consume": "Take tasks as workers would, without executing them, for load tests.",
    "doctor": "Check a server before a load: version, role, rights, memory, persistence, clock, layout.",
    "export": "Write pending tasks to a file, without disturbing workers.",
    "generate": "Make records from a template, or a template from a sample.",
    "inspect": "Show queues, jobs and single tasks.",
    "jobs": "List jobs, show one, forget one, or clean up after killed ones.",
    "load": "Load payload files into a queue, exactly once.",
    "migrate": "Copy or move tasks to another queue, layout or server, exactly once.",
    "plan": "Plan a large load: servers, memory, time, what to set on the servers.",
    "rollback": "Take back what a job has loaded and no consumer has taken.",
    "serve": "Serve runqy's enqueueing API over HTTP.",
    "verify": "Compare input with what Redis has of it.",
    "wait": "Wait for the results of tasks and write them as they come.",
    "watch": "Show queues live: tasks by state, rates, waiting times.",
}
"""Summaries by name. The module of a command has the same name. It is imported only when the command runs or its help
is shown."""

VARIABLES = (
    "Every option can also be set in the environment ({variable} for {option}; 1 or 0 for an option without a value) "
    "and in the table of its command in a TOML file given with --config."
)
ALL: Collection[str] = frozenset({"*"})
"""For ``Command.own_variables``."""

EXIT_STATUS = "Exit status: 0 all in; 1 failed; 2 usage; 3 completed with rejects or skipped files; 130 interrupted."


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
        own_variables: Names of options whose variable is ``RUNQY_LOADER_<COMMAND>_<NAME>``; ``ALL``: of all. An option
            needs its own variable if it means something else than the option of the same name in other commands.
    """

    run: Callable[..., int]
    options: tuple[type[Any], ...]
    argument: str | None = None
    argument_name: str = "path"
    choices: tuple[str, ...] = ()
    values: Mapping[str, Callable[[], Iterable[str]]] = field(default_factory=dict)
    usage: str = "[OPTIONS]"
    exit_status: str = EXIT_STATUS
    own_variables: Collection[str] = frozenset()


def command(name: str) -> Command:
    """The command of this name, one of ``COMMANDS``."""
    declaration: Command = import_module(f"loader.cli.{name}").COMMAND
    return declaration
