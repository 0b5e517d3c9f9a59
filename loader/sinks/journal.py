"""The journal of a load over HTTP: which batches the server has acknowledged, in a file on this machine.

JSON lines, only ever appended to: a header with the job's manifest, then for each batch ``sent`` before its first
request, and after it ``acked`` with the server's answer, or ``withdrawn`` where nothing of it is in for certain. A
batch that was sent, and has neither, is in doubt: whether the server took it is unknown, and a resume sends it again.

Each line is with the operating system before the loader goes on, so a kill loses none; the disk is made sure of
(``fsync``) about once a second and at the end, so a power failure may lose the last second's lines. Their batches are
sent again too, but are not named as in doubt where the loss took their ``sent`` as well.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from loader.errors import JobBusyError, LoaderError, UsageError
from loader.jobs.job import refuse_other_manifest
from loader.jobs.ledger import LedgerState
from loader.sinks.base import Delivery
from loader.tasks.reasons import Reason, ReasonCode

_VERSION = 1
_SYNC_SECONDS = 1.0

BatchKey = tuple[int, str, int]
"""Shard, queue and number of a batch."""


class Journal:
    """One job's journal. Use as a context manager, which also keeps a second loader out.

    Args:
        path: The file; it is made where there is none.
        manifest: Of the job; see ``loader.jobs.job.manifest_of``.
        keep_ids: Whether to note the ids that the server gives.

    Attributes:
        resumed: Whether the file was there before.
        unsettled: How many batches are in doubt by now.

    Raises:
        UsageError: On entering: the file is something else, or lacks the ids that are to be kept.
        JobMismatchError: On entering: the job was begun with other input or options.
        JobBusyError: On entering: another process is loading this job.
        LoaderError: On entering and on writing: the file cannot be read or written.
    """

    def __init__(self, path: Path, job: str, manifest: dict[str, Any], *, keep_ids: bool) -> None:
        self.path = path
        self.resumed = False
        self._job = job
        self._manifest = manifest
        self._keep_ids = keep_ids
        self._file = -1
        self._states: dict[tuple[int, str], _Marks] = {}
        self._open: set[BatchKey] = set()
        self._doubtful: frozenset[BatchKey] = frozenset()
        self._synced_at = time.monotonic()
        self._syncing: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                self._lock()
                self._read()
            except BaseException:
                os.close(self._file)
                raise
        except OSError as error:
            raise self._failed(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            os.fsync(self._file)
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            os.close(self._file)

    @property
    def unsettled(self) -> int:
        return len(self._open)

    def was_in_doubt(self, delivery: Delivery) -> bool:
        """Whether an earlier run sent this batch and ended before the server's answer."""
        return _key(delivery) in self._doubtful

    async def state(self, queue: str, shard: int) -> LedgerState:
        """What earlier runs had acknowledged. See ``loader.engine.pipeline.StateOf``."""
        marks = self._states.get((shard, queue))
        return LedgerState() if marks is None else marks.state()

    def sent(self, delivery: Delivery) -> None:
        """Notes that a batch is about to be sent."""
        key = _key(delivery)
        if key not in self._open:
            self._open.add(key)
            self._write({"sent": key})

    def withdrawn(self, delivery: Delivery) -> None:
        """Notes that nothing of a batch is in, although it was sent: the server has refused it for certain."""
        key = _key(delivery)
        self._write({"withdrawn": key})
        self._open.discard(key)

    def acknowledged(self, delivery: Delivery) -> None:
        """Notes the server's answer: what it refused, and the ids it gave."""
        key = _key(delivery)
        line: dict[str, Any] = {"acked": key, "crc": delivery.batch.checksum}
        if delivery.skipped:
            line["refused"] = {str(position): why.text for position, why in delivery.skipped.items()}
            line["codes"] = {str(position): why.code for position, why in delivery.skipped.items()}
        if self._keep_ids:
            line["ids"] = [i.decode() for p, i in enumerate(delivery.ids) if p not in delivery.skipped]
        self._write(line)
        self._open.discard(key)

    async def settle(self) -> None:
        """Makes sure of the disk now and then, in a thread."""
        if self._syncing is not None and self._syncing.done():
            syncing, self._syncing = self._syncing, None
            await syncing
        if self._syncing is None and time.monotonic() - self._synced_at > _SYNC_SECONDS:
            self._synced_at = time.monotonic()
            self._syncing = asyncio.create_task(asyncio.to_thread(self._sync))

    async def close(self) -> None:
        """Waits for the thread."""
        if self._syncing is not None:
            syncing, self._syncing = self._syncing, None
            await syncing

    def ids(self) -> Iterator[tuple[str, list[str]]]:
        """Queue and ids of each batch that is acknowledged."""
        with self.path.open("rb") as file:
            for line in file:
                entry = orjson.loads(line)
                if "acked" in entry:
                    yield entry["acked"][1], entry["ids"]

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobBusyError(
                f"job {self._job} is being loaded by another process, which holds {self.path}",
                "Wait for it or stop it; to load the same input a second time, give another --job name",
            ) from None

    def _read(self) -> None:
        with self.path.open("rb") as file:
            first = file.readline()
            if not first.endswith(b"\n"):
                self._begin(first)
                return
            self._check(first)
            self.resumed = True
            whole = len(first)
            for line in file:
                if not line.endswith(b"\n"):  # a crash tore it: what it was to say is not known
                    os.ftruncate(self._file, whole)
                    break
                self._take(orjson.loads(line))
                whole += len(line)
        self._doubtful = frozenset(self._open)

    def _begin(self, torn: bytes) -> None:
        if torn and not torn.startswith(b'{"journal":'):
            raise self._foreign()
        os.ftruncate(self._file, 0)
        head = {"journal": _VERSION, "job": self._job, "ids": self._keep_ids, "manifest": self._manifest}
        self._write(head)

    def _check(self, line: bytes) -> None:
        try:
            head = orjson.loads(line)
            manifest, has_ids = head["manifest"], head["ids"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise self._foreign() from None
        refuse_other_manifest(self._job, manifest, self._manifest)
        if self._keep_ids and not has_ids:
            raise UsageError(
                f"job {self._job} was begun without --ids-out, so the ids of its first batches are not known",
                "Go on without --ids-out",
            )
        self._keep_ids = has_ids

    def _take(self, entry: dict[str, Any]) -> None:
        if "sent" in entry:
            shard, queue, number = entry["sent"]
            self._open.add((shard, queue, number))
            return
        if "withdrawn" in entry:
            shard, queue, number = entry["withdrawn"]
            self._open.discard((shard, queue, number))
            return
        shard, queue, number = entry["acked"]
        self._open.discard((shard, queue, number))
        texts, codes = entry.get("refused", {}), entry.get("codes", {})
        refused = {int(position): _reason(text, codes.get(position)) for position, text in texts.items()}
        self._states.setdefault((shard, queue), _Marks()).mark(number, entry["crc"], refused)

    def _write(self, entry: dict[str, Any]) -> None:
        rest = memoryview(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise self._failed(error) from error

    def _sync(self) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from error

    def _foreign(self) -> UsageError:
        return UsageError(f"--journal {self.path} is not a journal of runqy-loader", "Name another file")

    def _failed(self, error: OSError) -> LoaderError:
        return LoaderError(
            f"the journal {self.path} cannot be written: {error.strerror}", "Name a writable file with --journal"
        )


class _Marks:
    """The batches of one shard and queue, as the ledger in Redis keeps them: a bit and a checksum each."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._checksums = bytearray()
        self._skipped: dict[int, dict[int, Reason]] = {}

    def mark(self, number: int, checksum: int, refused: dict[int, Reason]) -> None:
        byte, bit = divmod(number, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        if 4 * number + 4 > len(self._checksums):
            self._checksums.extend(bytes(4 * number + 4 - len(self._checksums)))
        self._bits[byte] |= 1 << (7 - bit)
        self._checksums[4 * number : 4 * number + 4] = checksum.to_bytes(4, "big")
        if refused:
            self._skipped[number] = refused

    def state(self) -> LedgerState:
        return LedgerState(bytes(self._bits), bytes(self._checksums), self._skipped)


def _reason(text: str, code: str | None) -> Reason:
    """Why a task was refused. An earlier version noted the text alone, a later one may know more codes."""
    if code is None:  # there were two reasons, and the texts of one began with its meaning
        refused = ReasonCode.REFUSED_BY_SERVER
        return Reason(refused if text.startswith(refused.meaning) else ReasonCode.UNKNOWN_QUEUE, text)
    return Reason(ReasonCode(code) if code in list(ReasonCode) else ReasonCode.UNKNOWN, text)


def _key(delivery: Delivery) -> BatchKey:
    return delivery.batch.shard, delivery.queue, delivery.batch.number
