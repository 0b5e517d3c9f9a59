"""A job: its name, and the manifest in Redis that a resume must match."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import orjson
import redis.asyncio

from loader.errors import JobMismatchError
from loader.ledger import LedgerState, QueueLedger
from loader.settings import LoadOptions
from loader.sources.base import SourceIdentity
from loader.sources.batch import BATCH_BYTES
from loader.wire.faults import translated

_VERSION = 1


def manifest_of(options: LoadOptions, sources: Sequence[SourceIdentity], shard_bytes: int) -> dict[str, Any]:
    """All that decides which task a record becomes and which batch it is in."""
    return {
        "version": _VERSION,
        "layout": options.layout,
        "queue": options.default_queue,
        "queue_field": options.queue_field,
        "id_field": options.id_field,
        "type": options.type,
        "max_retry": options.max_retry,
        "batch_size": options.batch_size,
        "batch_bytes": BATCH_BYTES,
        "shard_bytes": shard_bytes,
        "max_record_bytes": options.max_record_bytes,
        "sources": [
            {"name": source.name, "format": source.format, "size": source.size, "digest": source.digest}
            for source in sources
        ],
    }


def job_name(options: LoadOptions, sources: Sequence[SourceIdentity], manifest: dict[str, Any]) -> str:
    """The given name, or one derived from the first source's name and all of the manifest but names.

    What cannot be read again (standard input, an iterable) gets a name of its own each time.
    """
    if options.job is not None:
        return options.job
    stem = re.sub(r"[^A-Za-z0-9]+", "-", PurePath(sources[0].name).name.split(".")[0]).strip("-")[:40] or "stdin"
    if not all(source.repeatable for source in sources):
        return f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    nameless = [{key: source[key] for key in source if key != "name"} for source in manifest["sources"]]
    digest = hashlib.blake2b(
        orjson.dumps({**manifest, "sources": nameless}, option=orjson.OPT_SORT_KEYS), digest_size=5
    ).hexdigest()
    return f"{stem}-{digest}"


class Job:
    """A job's record in Redis: hash ``runqy-loader:{<job>}:job`` with ``manifest``, ``state`` and times."""

    def __init__(self, control: redis.asyncio.Redis, name: str, manifest: dict[str, Any], where: str) -> None:
        self._control = control
        self._key = f"runqy-loader:{{{name}}}:job"
        self._manifest = manifest
        self._where = where
        self.name = name
        self.resumed = False

    async def open(self) -> None:
        """Records the manifest, or compares it with the one recorded.

        Raises:
            JobMismatchError: The job was begun with other sources or options.
        """
        with translated(f"{self._where}, key {self._key}"):
            fresh = await self._control.hsetnx(self._key, "manifest", orjson.dumps(self._manifest).decode())
            if fresh:
                await self._control.hset(self._key, mapping={"state": "loading", "created": time.time()})
                return
            recorded = orjson.loads(await self._control.hget(self._key, "manifest") or b"{}")
        self.resumed = True
        if difference := _first_difference(recorded, self._manifest):
            raise JobMismatchError(
                f"job {self.name} was begun with {difference}",
                "Resume with the same input and options, or give another --job name to load this as a new job",
            )

    async def finish(self, report: dict[str, Any]) -> None:
        """Notes that all is in."""
        done: dict[bytes | bytearray | memoryview | str | int | float, str | float] = {
            "state": "done",
            "finished": time.time(),
            "report": orjson.dumps(report).decode(),
        }
        with translated(f"{self._where}, key {self._key}"):
            await self._control.hset(self._key, mapping=done)


async def ledger_state(control: redis.asyncio.Redis, ledger: QueueLedger, where: str) -> LedgerState:
    """What is in already, of one shard and queue."""
    with translated(where):
        async with control.pipeline(transaction=True) as pipe:
            pipe.get(ledger.batches_key)
            pipe.get(ledger.checksums_key)
            pipe.hgetall(ledger.skipped_key)
            batches, checksums, skipped = await pipe.execute()
    return LedgerState(
        batches or b"",
        checksums or b"",
        {int(batch): [int(p) for p in positions.split(b",")] for batch, positions in skipped.items()},
    )


def _first_difference(recorded: dict[str, Any], now: dict[str, Any]) -> str:
    for key in now:
        if key != "sources" and recorded.get(key) != now[key]:
            return f"--{key.replace('_', '-')} {recorded.get(key)}, not {now[key]}"
    before, after = recorded.get("sources", []), now["sources"]
    if len(before) != len(after):
        return f"{len(before)} sources, not {len(after)}"
    for old, new in zip(before, after, strict=True):
        if (old["size"], old["digest"], old["format"]) != (new["size"], new["digest"], new["format"]):
            sizes = f"{old['size']} bytes, now {new['size']}" if old["size"] != new["size"] else "as long as now"
            return f"other content in {new['name']} ({sizes})"
    return ""
