"""The commands by which a user goes on with a job."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from loader.jobs.standing import DONE, UNDOING, UNDONE, Standing
from loader.outputs.names import REJECTS_ENDING
from loader.outputs.place import is_place
from loader.settings import LoadOptions
from loader.settings.option import flag_of
from loader.settings.table_fields import table_flags
from loader.settings.tables import TableOptions
from loader.sources.generated.wanted import flags_of
from loader.sources.sql.query import FORMAT as SQL
from loader.tasks.options import LIFECYCLE

_OPTIONS = {"timeout": "task_timeout"}
"""Options whose names differ from those of the task's fields."""

_DURATIONS = frozenset({"timeout", "retention", "unique_ttl", "process_in", *LIFECYCLE})


def load_command(job: Standing) -> str:
    """The load that goes on with a job, as it can be told from its record. The input may be elsewhere by now."""
    manifest: dict[str, Any] = job.manifest or {}
    words = ["runqy-loader", "load", *_inputs(manifest)]
    for name in ("queue", "queue_field", "id_field", "layout", "profile"):
        if manifest.get(name) is not None and not (name == "profile" and manifest.get("layout") != "asynq"):
            words += [flag_of(name), str(manifest[name])]
    words += ["--spread", str(len(manifest["spread"]))] if "spread" in manifest else []
    for name, value in manifest.get("shape", {}).items():
        for one in value if isinstance(value, list) else [value]:
            words += [flag_of(name), str(one)]
    words += ["--envelope"] if manifest.get("envelope") else []
    words += ["--accept-any-json"] if manifest.get("accept_any_json") else []
    words += table_flags(TableOptions.of_record(manifest.get("tables", {})))
    words += _task_flags(manifest)
    for name, path in (("rejects", job.rejects), ("ids_out", job.ids)):
        if path is not None and path != str(Path(f"{job.name}{REJECTS_ENDING}").absolute()):
            words += [flag_of(name), path]
            words += ["--engine", "dask"] if is_place(path) and "--engine" not in words else []
    return shlex.join([*words, "--job", job.name])


def _task_flags(manifest: dict[str, Any]) -> list[str]:
    """The options of tasks that a job was begun with, where they are not those that it would have without."""
    given = LoadOptions(queue="q", layout=manifest.get("layout") or "documented", profile=manifest.get("profile"))
    usual = given.task_options.recorded()
    words: list[str] = []
    for name, value in manifest.get("tasks", {}).items():
        if not value or value == usual.get(name):
            if value == 0 and usual.get(name):
                words += [flag_of(_OPTIONS.get(name, name)), "0"]
            continue
        if name == "headers":
            for one, text in value:
                words += ["--header", f"{one}={text}"]
        else:
            unit = "s" if name in _DURATIONS else ""
            words += [flag_of(_OPTIONS.get(name, name)), f"{value}{unit}"]
    return words


def migrate_command(job: Standing) -> str:
    """The migration that goes on with a job on the server that holds its record."""
    manifest: dict[str, Any] = job.manifest or {}
    words = ["runqy-loader", "migrate"]
    for name in ("from_queue", "from_layout", "to_queue", "to_layout"):
        if manifest.get(name) is not None:
            words += [flag_of(name), str(manifest[name])]
    return shlex.join([*words, *(["--move"] if manifest.get("move") else []), "--job", job.name])


def next_step(job: Standing) -> str:
    """How to go on with a job: a command; '' if there is nothing to do."""
    if job.state == UNDOING:
        return shlex.join(["runqy-loader", "rollback", job.name])
    if job.state in (DONE, UNDONE) or job.manifest is None:
        return ""
    return migrate_command(job) if job.is_migration else load_command(job)


def _inputs(manifest: dict[str, Any]) -> list[str]:
    sources = manifest.get("sources", [])
    names = [str(source.get("name")) for source in sources]
    if len(sources) == 1 and "generated" in sources[0]:
        return flags_of(sources[0])
    if any(source.get("format") == SQL for source in sources):
        return ["--sql", "…", "--from", *names]  # the statement may hold what nobody else shall read
    return [*names[:3], "…"] if len(names) > 3 else names
