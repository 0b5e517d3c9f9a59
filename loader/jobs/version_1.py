"""Jobs that version 1 of the manifest began: their names, so that they are resumed and not loaded a second time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import orjson

from loader.settings import LoadOptions
from loader.sources.base import SourceIdentity
from loader.sources.batch import BATCH_BYTES
from loader.wire.target import ToHttp

_TASKS = (
    "type",
    "max_retry",
    "timeout",
    "deadline",
    "retention",
    "headers",
    "unique_ttl",
    "process_at",
    "process_in",
    "ttl_completed",
    "ttl_archived",
    "pending_timeout",
    "active_timeout",
)


def derived_name(options: LoadOptions, sources: Sequence[SourceIdentity], shard_bytes: int) -> str:
    """The name that version 1 gave to a job: from the first file's name, the content, and all options.

    The sources must be repeatable.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "-", PurePath(sources[0].name).name.split(".")[0]).strip("-")[:40] or "stdin"
    digest = hashlib.blake2b(
        orjson.dumps(_manifest(options, sources, shard_bytes), option=orjson.OPT_SORT_KEYS), digest_size=5
    ).hexdigest()
    return f"{stem}-{digest}"


def _manifest(options: LoadOptions, sources: Sequence[SourceIdentity], shard_bytes: int) -> dict[str, Any]:
    target, tasks = options.target, options.task_options.recorded()
    return {
        "version": 1,
        "layout": options.layout_name,
        "queue": options.default_queue,
        "queue_field": options.queue_field,
        "id_field": options.id_field,
        "envelope": options.envelope,
        "profile": options.profile,
        # A version that has absent options knows them as None; version 1 wrote 0.
        "tasks": {name: (None if name == "type" else 0) if tasks[name] is None else tasks[name] for name in _TASKS},
        "batch_size": options.unpaced_batch,
        "batch_bytes": BATCH_BYTES,
        "shard_bytes": shard_bytes,
        "max_record_bytes": options.max_record_bytes,
        **({"to": target.url.rstrip("/")} if isinstance(target, ToHttp) else {}),
        "sources": [{"format": source.format, "size": source.size, "digest": source.digest} for source in sources],
    }
