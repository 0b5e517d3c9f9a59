"""The journal of a load over HTTP: a SQLite database on this machine with the batches that the server has acknowledged.

The journal notes a batch as sent before its first request. After the server's answer, it notes the batch as
acknowledged, with the answer. If it is certain that no task of the batch is in, the journal deletes the note instead.
A batch that was sent and is not acknowledged is in doubt: it is unknown whether the server accepted it, and a resume
sends it again.

The operating system has each note before the loader goes on, so no note is lost if the loader is killed. The notes are
forced to disk about once a second and at the end, so a power failure may lose the notes of the last second. The rest is
intact, because each page in SQLite's write-ahead log has a checksum. The batches of lost notes are sent again as well,
but they are not named as in doubt if their first note is lost too. Why SQLite: docs/decisions/0002-journal.md.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from loader.errors import JobBusyError, LoaderError, UsageError
from loader.jobs.ledger import LedgerState
from loader.jobs.report import InDoubt
from loader.sinks.base import Delivery
from loader.tasks.reasons import Reason, ReasonCode

_APPLICATION = 0x52514A4C
"""SQLite's application_id, which distinguishes a journal from other databases."""
_VERSION = 1
"""SQLite's user_version: the version of these tables."""
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""Basic codes of SQLite: a write of the log that finds no room, and one that finds it half way."""
_SYNC_SECONDS = 1.0

# EXCLUSIVE: a second process is refused, and SQLite needs no shared memory, which network file systems lack. A note
# changes one or two pages, and a page is always written whole, so the pages are small.
_LOCK = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA page_size = 1024;
BEGIN EXCLUSIVE;
"""
# WAL: a commit is one write. NORMAL: SQLite syncs the disk only at checkpoints, which this module makes by time.
_LOG = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = 0;
BEGIN;
"""
# crc: Delivery.checksum of the batch, NULL until it is acknowledged. refused: JSON object from position to the reason's
# code and text. ids: the ids that the server gave to a batch's tasks, one a line.
_TABLES = (
    "CREATE TABLE job (name TEXT NOT NULL, manifest TEXT NOT NULL, keeps_ids INTEGER NOT NULL)",
    "CREATE TABLE batches (shard INTEGER NOT NULL, queue TEXT NOT NULL, number INTEGER NOT NULL, crc INTEGER,"
    " refused TEXT, PRIMARY KEY (shard, queue, number)) WITHOUT ROWID",
    "CREATE TABLE ids (queue TEXT NOT NULL, ids TEXT NOT NULL)",
)
# Where input that cannot be read again has ended. Earlier journals lack it.
_ENDS = "CREATE TABLE IF NOT EXISTS ends (source INTEGER NOT NULL, record INTEGER NOT NULL)"
# What a report says of batches in doubt, as a JSON object, until a run ends with a report: a killed run makes none.
_DOUBTS = (
    "CREATE TABLE IF NOT EXISTS doubts (shard INTEGER NOT NULL, queue TEXT NOT NULL, number INTEGER NOT NULL,"
    " doubt TEXT NOT NULL, PRIMARY KEY (shard, queue, number)) WITHOUT ROWID"
)
_ACKNOWLEDGED = "(shard, queue, number) IN (SELECT shard, queue, number FROM batches WHERE crc IS NOT NULL)"
_THIS = "shard = ? AND queue = ? AND number = ?"

BatchKey = tuple[int, str, int]
"""Shard, queue and number of a batch."""


class Journal:
    """The journal of one job. Use it as a context manager, which also keeps a second loader out.

    Args:
        path: The file; it is created if it does not exist.
        manifest: The manifest of a new job; see ``loader.jobs.manifest.manifest_of``.
        keep_ids: Whether to keep the ids that the server returns.

    Attributes:
        recorded: The job's manifest, if the file existed before.
        unsettled: The number of batches that are in doubt now.
        untold: Batches that earlier runs sent again and that are in, if these runs ended without a report.

    Raises:
        UsageError: On entering: the file is not such a journal, or lacks the ids that are to be kept.
        JobBusyError: On entering: another process is loading this job.
        LoaderError: On entering and on writing: the file cannot be read or written.
    """

    def __init__(self, path: Path, job: str, manifest: dict[str, Any], *, keep_ids: bool) -> None:
        self.path = path
        self.recorded: dict[str, Any] | None = None
        self._job = job
        self._manifest = manifest
        self._keep_ids = keep_ids
        self._db: sqlite3.Connection
        self.untold: list[InDoubt] = []
        self._has_job = False
        self._open: set[BatchKey] = set()
        self._doubtful: frozenset[BatchKey] = frozenset()
        self._synced_at = time.monotonic()

    def __enter__(self) -> Self:
        with self._failures():
            # Another thread reads the ids while this thread waits. absolute(): the name ":memory:" would not be a file.
            path = self.path.absolute()
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._db.executescript(_LOCK)
                resumed = self._look()
                self._db.executescript(_LOG)  # this ends the transaction of _LOCK
                if resumed:
                    self._has_job = True
                    self._check()
                else:
                    self._begin()
                self._db.execute(_ENDS)
                self._db.execute(_DOUBTS)
                settled = self._db.execute(f"SELECT doubt FROM doubts WHERE {_ACKNOWLEDGED}")  # noqa: S608 - ours
                self.untold = [InDoubt(**orjson.loads(doubt), repeated=True) for (doubt,) in settled]
                self._open = set(self._db.execute("SELECT shard, queue, number FROM batches WHERE crc IS NULL"))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.close()
                raise
        self._doubtful = frozenset(self._open)
        self._has_job = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self._failures():  # the report of this run names them
                self._db.execute(f"DELETE FROM doubts WHERE {_ACKNOWLEDGED}")  # noqa: S608 - ours
            self._sync()
        finally:
            self._db.close()

    @property
    def resumed(self) -> bool:
        """Whether the file existed before."""
        return self.recorded is not None

    @property
    def unsettled(self) -> int:
        return len(self._open)

    def record(self, manifest: dict[str, Any]) -> None:
        """Replaces the recorded manifest."""
        with self._failures():
            self._db.execute("UPDATE job SET manifest = ?", (orjson.dumps(manifest).decode(),))

    def was_in_doubt(self, delivery: Delivery) -> bool:
        """Whether an earlier run sent this batch and ended before the server's answer."""
        return _key(delivery) in self._doubtful

    async def state(self, queue: str, shard: int) -> LedgerState:
        """The batches that were acknowledged in earlier runs. See ``loader.engine.loaded_before.StateOf``."""
        bits, checksums, skipped = bytearray(), bytearray(), dict[int, dict[int, Reason]]()
        with self._failures():
            rows = self._db.execute(
                "SELECT number, crc, refused FROM batches"
                " WHERE shard = ? AND queue = ? AND crc IS NOT NULL ORDER BY number",
                (shard, queue),
            )
            for number, crc, refused in rows:
                byte, bit = divmod(number, 8)
                bits.extend(bytes(byte + 1 - len(bits)))
                bits[byte] |= 1 << (7 - bit)
                checksums.extend(bytes(4 * number - len(checksums)))
                checksums += crc.to_bytes(4, "big")
                if refused:
                    skipped[number] = {int(position): _reason(*why) for position, why in orjson.loads(refused).items()}
        return LedgerState(bytes(bits), bytes(checksums), skipped)

    def sent(self, delivery: Delivery) -> None:
        """Notes that a batch is about to be sent."""
        key = _key(delivery)
        if key not in self._open:
            self._open.add(key)
            with self._failures():
                self._db.execute("INSERT INTO batches (shard, queue, number) VALUES (?, ?, ?)", key)

    def doubted(self, delivery: Delivery, doubt: InDoubt) -> None:
        """Notes that it is unknown whether a batch is in, for the report of the run that ends with one."""
        about = {field.name: getattr(doubt, field.name) for field in fields(doubt) if field.name != "repeated"}
        values = (*_key(delivery), orjson.dumps(about).decode())
        with self._failures():
            self._db.execute("INSERT OR REPLACE INTO doubts VALUES (?, ?, ?, ?)", values)

    def withdrawn(self, delivery: Delivery) -> None:
        """Notes that no task of a batch is in, although it was sent: the server has certainly refused it."""
        key = _key(delivery)
        with self._failures():
            self._db.execute(f"DELETE FROM batches WHERE {_THIS}", key)  # noqa: S608 - ours
            self._db.execute(f"DELETE FROM doubts WHERE {_THIS}", key)  # noqa: S608 - ours
        self._open.discard(key)

    def acknowledged(self, delivery: Delivery) -> None:
        """Notes the server's answer: the refused tasks, and the ids of the others."""
        key = _key(delivery)
        refused = {str(position): (why.code, why.text) for position, why in delivery.skipped.items()}
        values = (delivery.checksum, orjson.dumps(refused).decode() if refused else None, *key)
        with self._failures(), self._db:
            self._db.execute("BEGIN")
            self._db.execute(f"UPDATE batches SET crc = ?, refused = ? WHERE {_THIS}", values)  # noqa: S608 - ours
            if self._keep_ids:
                ids = [own.decode() for position, own in enumerate(delivery.ids) if position not in delivery.skipped]
                self._db.execute("INSERT INTO ids VALUES (?, ?)", (delivery.queue, "\n".join(ids)))
        self._open.discard(key)

    def queues(self) -> list[str]:
        """The queues that batches were sent to in earlier runs."""
        with self._failures():
            return [queue for (queue,) in self._db.execute("SELECT DISTINCT queue FROM batches")]

    def ends(self) -> dict[int, list[int]]:
        """See ``loader.jobs.job.Job.ends``."""
        found: dict[int, list[int]] = {}
        with self._failures():
            for source, record in self._db.execute("SELECT DISTINCT source, record FROM ends ORDER BY record"):
                found.setdefault(source, []).append(record)
        return found

    async def note_end(self, source: int, record: int) -> None:
        """See ``loader.jobs.job.Job.note_end``."""
        with self._failures():
            self._db.execute("INSERT INTO ends VALUES (?, ?)", (source, record))

    def settle(self) -> None:
        """Forces the notes to disk if the last time is more than a second ago."""
        if time.monotonic() - self._synced_at > _SYNC_SECONDS:
            self._sync()
            self._synced_at = time.monotonic()

    def ids(self) -> Iterator[tuple[str, list[str]]]:
        """The queue and the ids of each acknowledged batch."""
        with self._failures():
            for queue, ids in self._db.execute("SELECT queue, ids FROM ids ORDER BY rowid"):
                yield queue, ids.split("\n") if ids else []

    def _look(self) -> bool:
        """Whether the file is a journal already. A new file is marked as a journal; any other file is not changed."""
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != _APPLICATION:
            raise self._foreign()
        if tables and version != _VERSION:
            raise self._other_version("a later")
        if not tables:
            self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
        return bool(tables)

    def _begin(self) -> None:
        for table in _TABLES:
            self._db.execute(table)
        job = (self._job, orjson.dumps(self._manifest).decode(), self._keep_ids)
        self._db.execute("INSERT INTO job VALUES (?, ?, ?)", job)

    def _check(self) -> None:
        manifest, keeps_ids = self._db.execute("SELECT manifest, keeps_ids FROM job").fetchone()
        self.recorded = orjson.loads(manifest)
        if self._keep_ids and not keeps_ids:
            raise UsageError(
                f"job {self._job} was begun without --ids-out, so the ids of its first batches are not known",
                "Go on without --ids-out",
            )
        self._keep_ids = bool(keeps_ids)

    def _sync(self) -> None:
        with self._failures():
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raises a LoaderError in place of an error of SQLite."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0)  # errors of the Python module itself have no code
            if code & 0xFF == sqlite3.SQLITE_BUSY:  # the low byte of an extended code is the basic code
                raise JobBusyError(
                    f"job {self._job} is being loaded by another process, which holds {self.path}",
                    "Wait for it or stop it; to load the same input a second time, give another --job name",
                ) from None
            if code == sqlite3.SQLITE_NOTADB:
                raise self._foreign() from None
            raise LoaderError(f"the journal {self.path} cannot be written: {error}", self._way_out(code)) from error

    def _way_out(self, code: int) -> str:
        if not self._has_job:
            return "Name a writable file with --journal"
        # Without what it says is in, another file would have all of it sent a second time.
        where = "Make room there" if code & 0xFF in _NO_ROOM else "Have it writable"
        return f"{where}, then run the same command again, with the same --journal"

    def _foreign(self) -> UsageError:
        with self.path.open("rb") as file:
            if file.read(11) == b'{"journal":':
                return self._other_version("an earlier")
        return UsageError(f"--journal {self.path} is not a journal of runqy-loader", "Name another file")

    def _other_version(self, which: str) -> UsageError:
        return UsageError(
            f"--journal {self.path} was written by {which} version of runqy-loader",
            "Finish its job with that version, or name another file to load everything anew",
        )


def _reason(code: str, text: str) -> Reason:
    """The reason of a refused task. A later version may have stored a code that is unknown here."""
    return Reason(ReasonCode(code) if code in list(ReasonCode) else ReasonCode.UNKNOWN, text)


def _key(delivery: Delivery) -> BatchKey:
    return delivery.batch.shard, delivery.queue, delivery.batch.number
