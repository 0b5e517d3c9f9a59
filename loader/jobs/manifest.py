"""What makes a job: the content of its sources, and where their tasks go. A resume must match it.

The manifest also records the cut of the input into batches and shards, because the ledger counts batches. These figures
do not identify the job: a resume takes them over. Names of sources and options of tasks are only for messages.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import orjson

from loader.errors import JobMismatchError
from loader.settings import LoadOptions
from loader.settings.option import flag_of
from loader.settings.table_fields import table_flags
from loader.settings.tables import TableOptions
from loader.sources.base import SourceIdentity
from loader.sources.batch import BATCH_BYTES
from loader.sources.formats import table_options
from loader.sources.generated.wanted import described
from loader.tasks.sizes import counted
from loader.wire.target import ToHttp

VERSION = 4
"""Version 1 counted empty files as sources, and its names of jobs were made from all options (``version_1.py``).

Version 3 has ``shape``, and version 4 has ``spread``; loaders that do not know them would load other tasks, or into
another queue. Jobs without both are of version 2."""

_WHERE = ("to", "layout", "profile", "queue", "queue_field", "id_field", "envelope")
"""Where tasks go, and how they get their ids."""

_FLAGS = {"headers": "header", "timeout": "task-timeout"}
"""Options whose names differ from those of the task's fields."""

log = logging.getLogger("runqy_loader")


def manifest_of(options: LoadOptions, sources: Sequence[SourceIdentity], shard_bytes: int) -> dict[str, Any]:
    """The manifest of a new job, as JSON types."""
    target = options.target
    tables = table_options(options.tables, [source.format for source in sources])
    shape = options.shape
    manifest = {
        "version": VERSION if options.spread else 3 if shape else 2,
        "to": target.url.rstrip("/") if isinstance(target, ToHttp) else None,
        "layout": options.layout_name,
        "profile": options.profile or ("runqy" if options.layout_name == "asynq" else None),
        "queue": options.default_queue,
        **({"spread": options.own_queues} if options.spread else {}),
        "queue_field": options.queue_field,
        "id_field": options.id_field,
        "envelope": options.envelope,
        "accept_any_json": options.accept_any_json,
        **({"tables": tables} if tables else {}),
        "tasks": options.task_options.recorded(),
        "batch_size": options.records_a_batch,
        "batch_bytes": BATCH_BYTES,
        "shard_bytes": shard_bytes,
        "max_record_bytes": options.max_record_bytes,
        "sources": [
            {
                "name": source.name,
                "format": source.format,
                "size": source.size,
                "digest": source.digest,
                **({} if source.generated is None else {"generated": source.generated}),
            }
            for source in sources
            if not source.is_empty
        ],
        **({"shape": shape} if shape else {}),
    }
    found: dict[str, Any] = orjson.loads(orjson.dumps(manifest))  # tuples become lists, as in a recorded manifest
    return found


def derived_name(options: LoadOptions, sources: Sequence[SourceIdentity], manifest: Mapping[str, Any]) -> str:
    """The name of a job that was given none. It is the same for the same content, queue, layout and id rules.

    Input that cannot be read again (standard input, an iterable) gets a new name each time.
    """
    if not all(source.repeatable for source in sources):
        return f"{_plain(sources[0].name) or 'stdin'}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    parts = [[manifest[key] for key in _WHERE], sorted(map(_content, manifest["sources"]))]
    parts += [manifest[name] for name in ("tables", "shape", "spread") if name in manifest]
    digest = hashlib.blake2b(orjson.dumps(parts), digest_size=5).hexdigest()
    return f"{_plain(options.default_queue or '') or 'load'}-{digest}"


def has_own_ids(manifest: Mapping[str, Any]) -> bool:
    """Whether the ids of a job's tasks may come from the records."""
    shape = manifest.get("shape", {})
    return manifest.get("id_field") is not None or bool(manifest.get("envelope")) or "id_from" in shape


def own_queues(manifest: Mapping[str, Any]) -> list[str]:
    """Full names of the queues that ``--queue`` meant: one, or those of ``--spread``; none without it."""
    queue = manifest.get("queue")
    spread: list[str] = manifest.get("spread", [])
    return spread or ([] if queue is None else [queue])


def records_name_queues(manifest: Mapping[str, Any]) -> bool:
    """Whether the records of a job may name their queues."""
    shape = manifest.get("shape", {})
    return manifest.get("queue_field") is not None or bool(manifest.get("envelope")) or "queue_from" in shape


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", PurePath(name).name).strip("-")[:40]


def _content(source: Mapping[str, Any]) -> list[Any]:
    return [source["format"], source["size"], source["digest"]]


def _key(source: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(_content(source))


def order_of(recorded: Mapping[str, Any], sources: Sequence[SourceIdentity]) -> list[int]:
    """The indexes of sources in the order in which the job has them; those that it does not have come last.

    Renamed files, and other ways to name them, change their order. The job's shards and ids depend on it.
    """
    left: dict[tuple[Any, ...], list[int]] = {}
    for index, source in enumerate(sources):
        left.setdefault((source.format, source.size, source.digest), []).append(index)
    order = [left[key].pop(0) for key in map(_key, recorded["sources"]) if left.get(key)]
    return order + sorted(index for indexes in left.values() for index in indexes)


def adopted(job: str, options: LoadOptions, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> LoadOptions:
    """The options with which a resume goes on: its own, with the batch size and record limit that the job began with.

    Logs one line for options that the job's record replaces, and one for tasks that differ from those already loaded.

    Args:
        recorded: The job's manifest.
        now: The manifest that a new job would have.

    Raises:
        JobMismatchError: The job has other content, or its tasks go elsewhere.
    """
    refuse_other(job, recorded, now)
    changed = {}
    if recorded["batch_size"] != options.records_a_batch:
        changed["batch_size"] = recorded["batch_size"]
    if recorded["max_record_bytes"] < options.max_record_bytes:  # a lower limit applies from now on
        changed["max_record_bytes"] = recorded["max_record_bytes"]
    if changed:
        ours = " and ".join(f"--{name.replace('_', '-')} {value}" for name, value in changed.items())
        log.info("job %s goes on with %s, as it began", job, ours)
    if others := list(_other_tasks(recorded, now)):
        log.info("tasks that are not in yet get %s", ", ".join(others))
    return replace(options, **changed)


def refuse_other(job: str, recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises JobMismatchError if a job was begun with other content, or for another place."""
    if recorded.get("version", 0) > VERSION or recorded.get("batch_bytes") != now["batch_bytes"]:
        raise JobMismatchError(
            f"job {job} was begun by another kind of load or a later version of runqy-loader",
            "Resume it with that version, or give another --job name",
        )
    if bool(recorded.get("accept_any_json")) != now["accept_any_json"]:
        # What was rejected in a batch that is in would count as loaded.
        raise JobMismatchError(
            f"job {job} was begun with{'' if recorded.get('accept_any_json') else 'out'} --accept-any-json",
            "Resume it so; load records that it has rejected from its rejects file, as a job of their own",
        )
    if (before := recorded.get("tables", {})) != now.get("tables", {}):
        flags = shlex.join(table_flags(TableOptions.of_record(before)))
        raise JobMismatchError(
            f"job {job} was begun with {flags or 'other options of tables'}, which makes other payloads",
            "Resume it so, or give another --job name to load this as a new job",
        )
    difference = _other_place(recorded, now) or _other_content(recorded, now)
    if difference:
        raise JobMismatchError(
            f"job {job} was begun with {difference}",
            "Resume with the same input for the same queue, or give another --job name to load this as a new job",
        )


def _other_place(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    before = {**dict.fromkeys(_WHERE), **recorded}
    if before["layout"] == "asynq":
        before["profile"] = before["profile"] or "runqy"  # version 1 recorded the option as it was given
    if (spread := before.get("spread", [])) != now.get("spread", []):
        return f"--spread {len(spread) or 'none'}, not {len(now.get('spread', [])) or 'none'}"
    shapes = before.get("shape", {}), now.get("shape", {})
    for options, others, keys in ((before, now, _WHERE), (*shapes, sorted({*shapes[0], *shapes[1]}))):
        for key in keys:
            if options.get(key) != others.get(key):
                return f"{flag_of(key)} {_shown(options.get(key))}, not {_shown(others.get(key))}"
    return ""


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _other_content(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    before, after = _with_content(recorded["sources"]), _with_content(now["sources"])
    if Counter(map(_key, before)) == Counter(map(_key, after)):
        return ""  # in any order
    if not after:
        return "other content (now there is none)"
    if len(before) != len(after):
        return f"{counted(len(before), 'source')}, not {len(after)}"
    for old, new in zip(before, after, strict=True):
        if _content(old) != _content(new):
            if old["format"] != new["format"]:
                return f"format {old['format']} of {new['name']}, not {new['format']}"
            if "generated" in old:
                return _other_records(old, new)
            if old["size"] is None or new["size"] is None:  # input that cannot be read again
                if old["name"] == new["name"]:  # a query of the same database
                    return f"another query of {old['name']}, or another key or address"
                return f"input {old['name']}, not {new['name']}"
            sizes = f"{old['size']} bytes, now {new['size']}" if old["size"] != new["size"] else "as long as now"
            return f"other content in {new['name']} ({sizes})"
    return ""


def _other_records(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The difference between records that were generated, and those that would be."""
    before, now = described(old), described(new)
    return f"{before}, not {now}" if before != now else f"another content of template {old['name']}, or of its files"


def _with_content(sources: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [source for source in sources if source["size"] != 0]


def _other_tasks(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    before = recorded.get("tasks", {})
    for name, value in now["tasks"].items():
        old = before.get(name)
        same = (old or None) == (value or None) if recorded["version"] == 1 else old == value
        if not same:  # version 1 knew no difference between 0 and absent
            yield f"--{_FLAGS.get(name, name).replace('_', '-')} {_shown(value)}, those before have {_shown(old)}"
