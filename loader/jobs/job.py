"""A job: its name, and the manifest in Redis that a resume must match."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

import orjson
import redis.asyncio

from loader.errors import JobMismatchError
from loader.jobs.ledger import LedgerState, QueueLedger, parse_skipped
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.sources.base import SourceIdentity
from loader.sources.batch import BATCH_BYTES
from loader.tasks.profiles import LayoutName
from loader.wire.faults import translated
from loader.wire.target import ToHttp

_VERSION = 1


def manifest_of(options: LoadOptions, sources: Sequence[SourceIdentity], shard_bytes: int) -> dict[str, Any]:
    """Everything that determines the task of each record, and the batch that the record is in."""
    target = options.target
    return {
        "version": _VERSION,
        "layout": options.layout,
        "queue": options.default_queue,
        "queue_field": options.queue_field,
        "id_field": options.id_field,
        "envelope": options.envelope,
        "profile": options.profile,
        "tasks": asdict(options.task_options),
        "batch_size": options.records_a_batch,
        "batch_bytes": BATCH_BYTES,
        "shard_bytes": shard_bytes,
        "max_record_bytes": options.max_record_bytes,
        **({"to": target.url.rstrip("/")} if isinstance(target, ToHttp) else {}),
        "sources": [
            {"name": source.name, "format": source.format, "size": source.size, "digest": source.digest}
            for source in sources
        ],
    }


def job_name(options: LoadOptions, sources: Sequence[SourceIdentity], manifest: dict[str, Any]) -> str:
    """The given name, or a name derived from the first source's name and the manifest without the names of sources.

    Input that cannot be read again (standard input, an iterable) gets a new name each time.
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

    def __init__(self, servers: Servers, name: str, manifest: dict[str, Any]) -> None:
        self._servers = servers
        self._key = f"runqy-loader:{{{name}}}:job"
        self._manifest = manifest
        self._where = str(servers)
        self.name = name
        self.resumed = False

    @property
    def _client(self) -> redis.asyncio.Redis:
        return self._servers.client_of(self._key)

    async def open(self) -> None:
        """Records the manifest, or compares it with the recorded manifest.

        Raises:
            JobMismatchError: The job was begun with other sources or options.
        """
        with translated(f"{self._where}, key {self._key}"):
            fresh = await self._client.hsetnx(self._key, "manifest", orjson.dumps(self._manifest).decode())
            if fresh:
                await self._client.hset(self._key, mapping={"state": "loading", "created": time.time()})
                return
            recorded = orjson.loads(await self._client.hget(self._key, "manifest") or b"{}")
        self.resumed = True
        refuse_other_manifest(self.name, recorded, self._manifest)

    async def recorded_layout(self) -> LayoutName | None:
        """The layout of a job that was begun; None if there is no such job."""
        with translated(f"{self._where}, key {self._key}"):
            recorded = await self._client.hget(self._key, "manifest")
        layout = orjson.loads(recorded or b"{}").get("layout")
        return layout if layout in ("documented", "asynq") else None

    async def forget(self) -> None:
        """Deletes the record if this run has created it, for a job that is refused before it has done anything."""
        if not self.resumed:
            with translated(f"{self._where}, key {self._key}"):
                await self._client.delete(self._key)

    async def note_ids(self, path: str) -> None:
        """Records the absolute path of the file with the ids of the job's tasks, in field ``ids``."""
        with translated(f"{self._where}, key {self._key}"):
            await self._client.hset(self._key, "ids", path)

    async def finish(self, report: dict[str, Any]) -> None:
        """Records that every task is in."""
        done: dict[bytes | bytearray | memoryview | str | int | float, str | float] = {
            "state": "done",
            "finished": time.time(),
            "report": orjson.dumps(report).decode(),
        }
        with translated(f"{self._where}, key {self._key}"):
            await self._client.hset(self._key, mapping=done)


async def ledger_state(servers: Servers, ledger: QueueLedger) -> LedgerState:
    """The state of the ledger of one shard and queue."""
    with translated(str(servers)):
        # No transaction: the script sets the mark of a batch last, so the marks are read first.
        async with servers.client_of(ledger.batches_key).pipeline(transaction=False) as pipe:
            pipe.get(ledger.batches_key)
            pipe.get(ledger.checksums_key)
            pipe.hgetall(ledger.skipped_key)
            batches, checksums, skipped = await pipe.execute()
    return LedgerState(
        batches or b"",
        checksums or b"",
        {int(batch): parse_skipped(positions) for batch, positions in skipped.items()},
    )


def refuse_other_manifest(job: str, recorded: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises JobMismatchError if a job was begun with other sources or options."""
    if difference := _first_difference(recorded, now):
        raise JobMismatchError(
            f"job {job} was begun with {difference}",
            "Resume with the same input and options, or give another --job name to load this as a new job",
        )


def _first_difference(recorded: dict[str, Any], now: dict[str, Any]) -> str:
    for key in now:
        if key not in ("sources", "tasks") and recorded.get(key) != now[key]:
            return f"--{key.replace('_', '-')} {recorded.get(key)}, not {now[key]}"
    tasks = recorded.get("tasks", {})
    for key, value in orjson.loads(orjson.dumps(now["tasks"])).items():
        if tasks.get(key) != value:
            return f"{key.replace('_', ' ')} {tasks.get(key)} of its tasks, not {value}"
    before, after = recorded.get("sources", []), now["sources"]
    if len(before) != len(after):
        return f"{len(before)} sources, not {len(after)}"
    for old, new in zip(before, after, strict=True):
        if (old["size"], old["digest"], old["format"]) != (new["size"], new["digest"], new["format"]):
            sizes = f"{old['size']} bytes, now {new['size']}" if old["size"] != new["size"] else "as long as now"
            return f"other content in {new['name']} ({sizes})"
    return ""
