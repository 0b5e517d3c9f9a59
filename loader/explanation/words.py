"""The sentences about input and tasks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from loader.explanation.explanation import Part
from loader.settings import LoadOptions
from loader.settings.check import is_given
from loader.settings.option import declared
from loader.sources.base import Source, one_line
from loader.tasks.sizes import counted, in_bytes

_A_TASK = {
    "jsonl": "each line is a task",
    "json": "each file is a task",
    "json-array": "each element of the array is a task",
    "json-concat": "each value is a task",
    "csv": "each row is a task",
    "tsv": "each row is a task",
    "parquet": "each row is a task",
    "arrow": "each row is a task",
    "feather": "each row is a task",
    "sql": "each row of the query is a task",
}
_NAMED = 5
# fmt: off
_TOLD_ELSEWHERE = frozenset((
    "redis", "redis_password_file", "redis_password_command", "to", "queue", "queue_field", "queue_from",
    "id_field", "id_from", "envelope", "layout", "profile", "type", "max_retry", "task_timeout", "deadline",
    "retention", "header", "unique_ttl", "process_at", "process_in", "ttl_completed", "ttl_archived",
    "pending_timeout", "active_timeout", "on_conflict", "job", "again", "keep_job", "rejects", "ids_out", "journal",
    "dry_run", "preview", "embedded_dir", "format",
))
# fmt: on
"""Options about which other sentences speak."""


def input_part(sources: Sequence[Source]) -> Part:
    """What is read, and what of it becomes a task."""
    found = [source.identity for source in sources]
    sizes = [one.size for one in found if one.size is not None]
    size = f", {in_bytes(sum(sizes))}" if len(sizes) == len(found) else ", of unknown size"
    names = ", ".join(one_line(one.name) for one in found[:_NAMED])
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    kinds = dict.fromkeys(_A_TASK.get(one.format.partition(".")[0], "each record is a task") for one in found)
    says = [f"{counted(len(found), 'source')}{size}: {names}{more}", "; ".join(kinds)]
    if not all(one.repeatable for one in found):
        says.append("a part of the input cannot be read a second time: give --job NAME to be able to go on with it")
    facts = {"sources": [{"name": one_line(one.name), "format": one.format, "bytes": one.size} for one in found]}
    return Part("input", says, facts)


def queue_part(options: LoadOptions) -> Part:
    """Which queue each task goes to."""
    by = next((f"--{name.replace('_', '-')}" for name in ("queue_field", "queue_from") if getattr(options, name)), None)
    if options.envelope:
        by = "--envelope"
    otherwise = options.default_queue
    if options.spread is not None:
        says = [f"the tasks go to {options.spread} sub-queues of {otherwise}: {', '.join(options.own_queues)}"]
    elif by is None:
        says = [f"all tasks go to {otherwise}"]
    else:
        what = {
            "--queue-field": f"the field {options.queue_field!r}",
            "--queue-from": f"the expression {options.queue_from!r}",
            "--envelope": "the field 'queue' of the envelope",
        }[by]
        rest = "is rejected" if otherwise is None else f"goes to {otherwise}"
        says = [f"each record names its queue: {what}. A record without it {rest}"]
    spread = options.own_queues if options.spread is not None else None
    return Part("queue", says, {"name": otherwise, "sub_queues": spread, "named_by_records": by})


def task_part(options: LoadOptions) -> Part:
    """The ids and the options of the tasks.

    Args:
        options: Settled options.
    """
    given = {name: value for name, value in options.task_options.recorded().items() if value not in (None, 0, ())}
    given.setdefault("max_retry", 0)
    told = [_told(name, value) for name, value in given.items()]
    if options.task_options.type is None:
        told.insert(0, "type: the full name of the queue")
    own = ", unless its envelope says otherwise" if options.envelope else ""
    ids = options.own_ids
    return Part(
        "tasks",
        [
            f"the payload is {_payload_words(options)}",
            f"each task{own}: {'; '.join(told)}",
            _id_words(options, ids),
        ],
        {"options": given, "ids_from": ids, "on_conflict": options.on_conflict if ids else None},
    )


def _payload_words(options: LoadOptions) -> str:
    if options.select is not None or options.set:
        return "made from the record by the options below"
    return "the field 'payload' of the envelope" if options.envelope else "the record's JSON, byte for byte"


def _told(name: str, value: Any) -> str:
    title = name.replace("_", " ")
    if name in ("deadline", "process_at"):
        return f"{title} {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(value))}"
    if name == "headers":
        return "headers " + ", ".join(f"{one}={text}" for one, text in value)
    if name == "max_retry":
        return f"up to {counted(value, 'retry').replace('retrys', 'retries')}"
    return f"{title} {value:,} s" if isinstance(value, int) else f"{title} {value}"


def _id_words(options: LoadOptions, ids: str | None) -> str:
    if ids is None:
        return "ids are UUIDs made from the job's name, the source and the record's number: each run makes the same"
    where = {
        "--id-field": f"the field {options.id_field!r} of each record",
        "--id-from": f"the expression {options.id_from!r}",
        "--envelope": "the field 'id' of an envelope, or made from job, source and record number where it has none",
    }[ids]
    taken = "counts as loaded" if options.on_conflict == "skip" else "is rejected"
    return f"ids are {where}. A record whose id exists in Redis already {taken}"


def further_part(options: LoadOptions) -> Part | None:
    """The other options that differ from their defaults, each with its help; None if there are none."""
    found: dict[str, Any] = {}
    says = []
    for one in declared(type(options)):
        if one.name in _TOLD_ELSEWHERE or one.option.writes or not is_given(one, options):
            continue
        value = getattr(options, one.name)
        shown = ", ".join(map(str, value)) if one.repeated else str(value)
        found[one.flag] = True if one.is_switch else shown
        sentence = one.option.help.partition(". ")[0].removesuffix(".")
        says.append(f"{one.flag}{'' if one.is_switch else f' {shown}'}: {sentence}")
    return Part("options", says, found) if found else None
