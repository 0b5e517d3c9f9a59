"""A job's record in Redis: its manifest, its state and its report."""

from __future__ import annotations

import time
from typing import Any

import orjson

from loader.jobs.ledger import LedgerState, QueueLedger, batches_keys
from loader.jobs.manifest import own_queues, records_name_queues
from loader.jobs.orders import PAUSED, RATE
from loader.jobs.standing import DONE, LOADING, UNDONE, Standing, job_key, lease_key, packed, read_standing
from loader.queues.slot_tag import slot_tag
from loader.servers.routing import Servers
from loader.wire.client import Client
from loader.wire.faults import translated

_ENDS = "ends"


class Job:
    """Hash ``runqy-loader:{<job>}:job`` with ``manifest``, ``state`` and times.

    The field ``ends`` is for input that cannot be read again: a JSON object from the number of a source to the numbers
    of records at which the input has ended so far. A batch ends there in every later run.

    Attributes:
        resumed: Whether ``open`` has found the job.
    """

    def __init__(self, servers: Servers, name: str) -> None:
        self._servers = servers
        self._key = job_key(name)
        self._where = f"{servers}, key {self._key}"
        self.name = name
        self.resumed = False

    @property
    def _client(self) -> Client:
        return self._servers.client_of(self._key)

    async def recorded(self) -> dict[str, Any] | None:
        """The manifest of a job that was begun before; None if there is no such job."""
        with translated(self._where):
            return _manifest(await self._client.execute("HGET", self._key, "manifest"))

    async def open(self, manifest: dict[str, Any]) -> dict[str, Any] | None:
        """Records a new job. If there is such a job already, returns the recorded manifest and changes nothing."""
        if await self.begin(manifest):
            return None
        self.resumed = True
        return await self.recorded()

    async def begin(self, manifest: dict[str, Any]) -> bool:
        """Records a new job, and returns whether it did: nothing is changed if there is such a job already."""
        with translated(self._where):
            if not await self._client.execute("HSETNX", self._key, "manifest", orjson.dumps(manifest)):
                return False
            await self._client.execute("HSET", self._key, "state", LOADING, "created", time.time())
            return True

    async def record(self, manifest: dict[str, Any]) -> None:
        """Replaces the recorded manifest."""
        with translated(self._where):
            await self._client.execute("HSET", self._key, "manifest", orjson.dumps(manifest))

    async def note_run(self, token: str) -> None:
        """Records which run works on the job, in field ``run``."""
        with translated(self._where):
            await self._client.execute("HSET", self._key, "run", token)

    async def has_run(self, token: str) -> bool:
        """Whether ``note_run`` recorded this run last. If not, the server has lost what it had then."""
        with translated(self._where):
            return bool(await self._client.execute("HGET", self._key, "run") == token.encode())

    async def standing(self) -> Standing:
        """What the record says."""
        return await read_standing(self._servers, self.name)

    async def go_on(self) -> bool:
        """Records that a run works on the job. Returns whether an earlier run had brought it to its end.

        The input may have more since then, so a finished job is as unfinished as any other until this run ends; that it
        was finished is in field ``reopened`` for so long.
        """
        with translated(self._where):
            if await self._client.execute("HGET", self._key, "state") == DONE.encode():
                await self._client.execute("HSET", self._key, "state", LOADING, "reopened", 1)
                return True
            return bool(await self._client.execute("HGET", self._key, "reopened"))

    async def may_have_loaded(self) -> bool:
        """Whether the job is running, or may have loaded something."""
        with translated(self._where):
            if await self._client.execute("GET", lease_key(self.name)) is not None:
                return True
        return await self.has_loaded()

    async def has_loaded(self) -> bool:
        """Whether a batch of the job is in. Also True if this cannot be known without a search for its ledgers."""
        standing = await self.standing()
        manifest, report = standing.manifest, standing.report
        if manifest is None:
            return False
        if standing.state == UNDONE:
            return not standing.has_ended  # consumers had taken some of its tasks
        if report.get("status") == "completed" and not report.get("loaded", 0) + report.get("already_loaded", 0):
            return False  # every record was rejected
        if manifest.get("command") is not None or records_name_queues(manifest):
            return True  # its queues are not known here
        for queue in own_queues(manifest):
            ledgers = batches_keys(slot_tag(manifest["layout"], queue), self.name, manifest)
            with translated(self._where):
                # GET is a right that a load has.
                if any(await self._servers.client_of(ledgers[0]).execute_all([("GET", key) for key in ledgers])):
                    return True
        return False

    async def forget(self) -> None:
        """Deletes the record if this run has created it, for a job that is refused before it has done anything."""
        if not self.resumed:
            with translated(self._where):
                await self._client.execute("DEL", self._key)

    async def note_ids(self, path: str) -> None:
        """Records the absolute path of the file with the ids of the job's tasks, in field ``ids``."""
        with translated(self._where):
            await self._client.execute("HSET", self._key, "ids", path)

    async def note_origin(self, prefixes: list[bytes], rejects: str, *, noted: bool) -> None:
        """Records what tells the job's tasks from those of others, and the absolute path of its rejects file.

        Args:
            prefixes: Of the ids that are generated for it.
            noted: Whether each of its queues is noted, where records name them: an earlier version did not do so.
        """
        fields: list[bytes | str | int] = ["prefixes", packed(prefixes), "rejects", rejects, "noted", int(noted)]
        with translated(self._where):
            await self._client.execute("HSET", self._key, *fields)

    async def ends(self) -> dict[int, list[int]]:
        """The numbers of records at which each source has ended in earlier runs, ascending; see ``note_end``."""
        with translated(self._where):
            noted = orjson.loads(await self._client.execute("HGET", self._key, _ENDS) or b"{}")
        return {int(source): sorted(numbers) for source, numbers in noted.items()}

    async def note_end(self, source: int, record: int) -> None:
        """Records that input which cannot be read again has ended before a record, counted from 0."""
        noted = await self.ends()
        noted[source] = sorted({*noted.get(source, ()), record})
        with translated(self._where):
            text = orjson.dumps(noted, option=orjson.OPT_NON_STR_KEYS)
            await self._client.execute("HSET", self._key, _ENDS, text)

    async def finish(self, report: dict[str, Any]) -> None:
        """Records that every task is in. There is nothing to order any more."""
        done = (
            "state",
            DONE,
            "finished",
            time.time(),
            "report",
            orjson.dumps(report),
            PAUSED,
            "",
            RATE,
            "",
            "reopened",
            "",
        )
        with translated(self._where):
            await self._client.execute("HSET", self._key, *done)


def _manifest(text: bytes | None) -> dict[str, Any] | None:
    if text is None:
        return None
    manifest: dict[str, Any] = orjson.loads(text)
    return manifest


async def ledger_state(servers: Servers, ledger: QueueLedger) -> LedgerState:
    """The state of the ledger of one shard and queue."""
    with translated(str(servers)):
        # No transaction: the script sets the mark of a batch last, so the marks are read first.
        batches, checksums, skipped = await servers.client_of(ledger.batches_key).execute_all(
            [("GET", ledger.batches_key), ("GET", ledger.checksums_key), ("HGETALL", ledger.skipped_key)]
        )
    return LedgerState.of(batches, checksums, skipped)
