"""The pages of the reference that are not about one command: reports, keys, statuses, errors, the Python API."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import loader
from docsite.reports import page as reports_page
from docsite.rest import escaped, heading, literal, table
from loader import errors
from loader.cli.commands import COMMANDS, command
from loader.explanation.written import job_keys, task_keys
from loader.settings import LoadOptions
from loader.settings.option import Declared, declared
from loader.tasks.profiles import LayoutName

_NOTE = "% This page is made from the code: see docsite/reference.py.\n\n"


def pages() -> Iterator[tuple[str, str]]:
    """The path and the text of each page."""
    yield "docs/reference/keys.md", _keys()
    yield "docs/reference/exit-statuses.md", _statuses()
    yield "docs/reference/errors.md", _errors()
    yield "docs/reference/python.rst", _python()
    yield "docs/reference/reports.md", reports_page()


def _keys() -> str:
    cases: list[tuple[LayoutName, LoadOptions]] = [
        ("documented", LoadOptions(queue="QUEUE", layout="documented")),
        ("asynq", LoadOptions(queue="QUEUE", layout="asynq", envelope=True)),
    ]
    text = [
        _NOTE + "# Redis keys\n",
        "What a load writes. `runqy-loader load --explain` says the same for one load, with its own names. "
        "[Keys](../reference.md#keys) has the content of each key, and [layouts](../layouts.md) says when each layout "
        "is used.\n",
    ]
    for layout, given in cases:
        rows = [(f"`{one.key.replace('QUEUE.default', '<queue>')}`", one.type, one.holds) for one in task_keys(given)]
        text += [f"## Tasks, in layout `{layout}`\n", table(("key", "type", "holds"), rows)]
    manifest: dict[str, Any] = {
        "queue": "QUEUE",
        "queue_field": None,
        "layout": "asynq",
        "sources": [{"digest": "<digest>"}],
    }
    own = job_keys(LoadOptions(queue="QUEUE", layout="asynq"), "<job>", manifest)
    rows = [(f"`{one.key.replace('QUEUE', '<queue>')}`", one.type, one.holds) for one in own]
    text += [
        "## The loader's own keys\n",
        "In layout `documented`, `{asynq:<queue>:pending}` stands for `{<queue>}`: both are in the slot of the "
        "pending list.\n",
        table(("key", "type", "holds"), rows),
    ]
    return "\n".join(text)


def _statuses() -> str:
    rows = []
    for name in COMMANDS:
        told = command(name).exit_status.removeprefix("Exit status: ")
        for part in re.split(r";\s+(?=\d)", told.partition(". ")[0].removesuffix(".")):
            status, _, meaning = part.partition(" ")
            rows.append((f"[{name}](commands/{name}.rst)", f"`{status}`", meaning))
    return f"{_NOTE}# Exit statuses\n\n{table(('command', 'status', 'meaning'), rows)}"


def _errors() -> str:
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.LoaderError)]
    rows = [
        (
            f"`{one.code}`",
            f"`{one.__name__}`",
            f"`{one.__mro__[1].__name__}`",
            _first_sentence(one),
            f"`{one.exit_status}`",
        )
        for one in found
    ]
    intro = (
        "`code` is `error_code` in the JSON report, and the attribute `code` of the exception. Each message says "
        "what to do. "
        "[Errors](../reference.md#errors) has more words about each.\n\n"
    )
    return f"{_NOTE}# Errors\n\n{intro}{table(('code', 'exception', 'is a', 'meaning', 'exit status'), rows)}"


def _first_sentence(one: type) -> str:
    text = " ".join((inspect.getdoc(one) or "").split("\n\n")[0].split())
    return text.replace("``", "`")


_CLASSES = (
    "Loader",
    "LoadReport",
    "SourceReport",
    "JobView",
    "TaskResult",
    "RollbackReport",
    "QueueState",
    "Observation",
    "WatchedQueue",
)
_FUNCTIONS = (
    "load",
    "wait_for_result",
    "wait_for_results",
    "list_jobs",
    "pause_job",
    "resume_job",
    "change_job_rate",
    "rollback",
    "watch_queues",
)


def _python() -> str:
    told = {*_CLASSES, *_FUNCTIONS, "LoadOptions", "ReasonCode", "__version__"}
    missing = [name for name in loader.__all__ if name not in told and not name.endswith("Error")]
    if missing:
        raise LookupError(f"the page of the Python API does not have {', '.join(missing)}: see docsite/reference.py")
    parts = [
        ".. This page is made from the code: see docsite/reference.py.\n",
        heading("Python API", "="),
        "Programs import ``runqy_loader``. Each error is a subclass of ``runqy_loader.LoaderError``: :doc:`errors`.\n",
        heading("Functions", "-"),
        *(f".. autofunction:: runqy_loader.{name}\n" for name in _FUNCTIONS),
        heading("Keywords of a load", "-"),
        "``load`` and ``Loader`` take these keywords, and ``LoadOptions`` has them as fields. They are the options of "
        'the :doc:`commands/load` command; durations may be text (``"5m"``), a number of seconds or a ``timedelta``.\n',
        ".. list-table::\n   :header-rows: 1\n\n   * - keyword\n     - type\n     - default\n     - meaning",
        *(_keyword(one) for one in declared(LoadOptions)),
        "",
        heading("Classes", "-"),
        *(f".. autoclass:: runqy_loader.{name}\n   :members:\n" for name in _CLASSES),
        heading("Reasons of rejects", "-"),
        "``ReasonCode`` has the reason of each rejected record, see :doc:`/docs/reference`.\n",
    ]
    return "\n".join(parts)


def _keyword(one: Declared) -> str:
    kinds = [kind.__name__ for kind in one.kinds] + [repr(choice) for choice in one.choices]
    if one.repeated:
        kinds = [f"tuple of {' or '.join(kinds)}"]
    default = one.option.default_text or ("None" if one.default is None else repr(one.default))
    return (
        f"   * - {literal(one.name)}\n     - {escaped(' or '.join(kinds))}\n"
        f"     - {escaped(default) if one.option.default_text else literal(default)}\n     - {escaped(one.option.help)}"
    )
