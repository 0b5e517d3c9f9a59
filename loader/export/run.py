"""Exports pending tasks from Redis as JSON lines, which ``load --envelope`` can load again."""

from __future__ import annotations

import base64
import itertools
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from loader.export.options import ExportOptions
from loader.jobs.report import RunReport
from loader.servers.session import Session, open_session
from loader.settings.server_address import server_address
from loader.stored.existence import require_queue
from loader.stored.fetch import Fetcher
from loader.stored.queue_reader import stored_queue
from loader.stored.snapshot import count_in_other_layout, grouped_ids, keyed_ids, pending_ids
from loader.stored.spool import DistinctSpool, Spool
from loader.stored.states import count_other_states
from loader.stored.stored_task import StoredTask
from loader.stored.which_layout import layout_with_tasks
from loader.tasks.envelope import VERSION, StatefulEnvelope
from loader.tasks.options import NEW, TaskOptions
from loader.tasks.profiles import LayoutChoice, LayoutName
from loader.tasks.reasons import Reason, ReasonCode, UnusableRecordError

log = logging.getLogger("runqy_loader")

_MAX_FETCHED = 1000
_MAX_REJECTS_SHOWN = 10

Write = Callable[[bytes], Awaitable[None]]
"""Writes a piece of the output."""


@dataclass(slots=True)
class ExportReport(RunReport):
    """Counts of an export, updated as it runs. After a completed export, ``listed == exported + missing + rejected``.

    Attributes:
        listed: Ids found.
        missing: How many of these tasks were taken before they could be read.
        rejects: The ids of the first rejected tasks, each with the reason.
        elsewhere: Pending tasks of the queue in the other layout, if it has none in this layout.
        lost: What envelopes cannot hold, with the number of exported tasks that have it.
        other_states: Tasks of the queue in other states, which are not exported, by state.
    """

    queue: str
    layout: LayoutChoice
    listed: int = 0
    exported: int = 0
    missing: int = 0
    bytes_written: int = 0
    elsewhere: int = 0
    rejects: list[tuple[str, Reason]] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    other_states: dict[str, int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """Tasks that cannot be read, or not be written in this format."""
        return self.rejected_by_code.total()

    @property
    def exit_status(self) -> int:
        """0 all exported; 1 failed; 3 completed with rejects; 130 interrupted."""
        return self._exit_status(self.rejected)

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see docs/migrate.md."""
        return {
            "queue": self.queue,
            "layout": self.layout,
            "status": self.status,
            "error": self.error,
            "error_code": self.error_code,
            "listed": self.listed,
            "exported": self.exported,
            "missing": self.missing,
            "lost": dict(self.lost),
            "other_states": self.other_states,
            "rejected": self.rejected,
            "rejected_by_code": self._codes(),
            "rejects": [{"id": task_id, "code": why.code, "reason": why.text} for task_id, why in self.rejects],
            "bytes_written": self.bytes_written,
            "seconds": round(self.seconds, 3),
        }


class Exporter:
    """Exports the pending tasks of a queue, or those that wait in its groups.

    It only reads from the server, so consumers are not affected.

    Args:
        write: Writes the output, piece by piece.

    Raises:
        UsageError: Options are out of range, or ``redis`` is not a valid URL.
    """

    def __init__(self, options: ExportOptions, write: Write) -> None:
        options.check()
        self._options = options
        self._write = write
        self._address = server_address(options)
        self._queue = stored_queue(options.known_layout or "documented", options.full_queue)
        self._stopping = False
        self.report = ExportReport(self._queue.name, options.known_layout or "auto")

    def stop(self) -> None:
        """Makes ``run`` end soon. What has been written stays."""
        self._stopping = True

    async def run(self) -> ExportReport:
        """Exports everything.

        Raises:
            UnknownQueueError: There is no such queue.
            LoaderError: The server or the disk refuses.
        """
        options, report = self._options, self.report
        run, numbers = secrets.token_hex(6), itertools.count(1)
        name = f"runqy-loader:export:{run}"
        try:
            async with open_session(
                self._address, options.timeout, options.retry_for, lambda: f"{name}:0.{next(numbers)}"
            ) as session:
                await self._export(session)
        except Exception as error:
            report.fail(error)
            raise
        report.end("interrupted" if self._stopping else "completed")
        return report

    async def _export(self, session: Session) -> None:
        options, report = self._options, self.report
        if report.layout == "auto":
            report.layout = await self._choose_layout(session)
        fetcher = Fetcher(session, self._queue, _MAX_FETCHED)
        if options.by == "scan":
            await self._by_ids(fetcher, keyed_ids(session, self._queue))
        elif options.state == "aggregating":
            await self._by_ids(fetcher, grouped_ids(session, self._queue))
        else:
            await self._by_list(session, fetcher)
        if not (report.listed or self._stopping):
            await require_queue(session, self._queue, name_option="--queue", layout_option="--layout")
            report.elsewhere = await count_in_other_layout(session, self._queue)
        report.other_states = await count_other_states(session, self._queue, but=options.state)

    async def _choose_layout(self, session: Session) -> LayoutName:
        """Chooses the layout by the queue's keys."""
        name = self._queue.name
        found = await layout_with_tasks(session, {"documented": name, "asynq": name}, "--layout")
        layout, reason = found or ("documented", "no key shows the layout of the queue")
        log.info("layout %s: %s", layout, reason)
        self._queue = stored_queue(layout, name)
        return layout

    async def _by_list(self, session: Session, fetcher: Fetcher) -> None:
        with Spool() as spool:
            async for ids in pending_ids(session, self._queue):
                if self._stopping:
                    return
                spool.add(ids)
            self.report.listed = spool.count
            for ids in spool.backwards():
                async for fetched in fetcher.each(ids):
                    self.report.missing += len(fetched.missing)
                    for task_id, why in fetched.unreadable:
                        self._reject(task_id, why)
                    await self._write_tasks(fetched.tasks)
                    if self._stopping:
                        return

    async def _by_ids(self, fetcher: Fetcher, found: AsyncIterator[list[bytes]]) -> None:
        """Exports the tasks with these ids, each once, that are tasks of the queue in the wanted state."""
        with DistinctSpool() as spool:
            async for ids in found:
                if self._stopping:
                    return
                spool.add(ids)
            for ids in spool.blocks():
                async for fetched in fetcher.each(ids):
                    for task_id, why in fetched.unreadable if self._queue.layout == "asynq" else ():
                        self.report.listed += 1
                        self._reject(task_id, why)
                    # In the documented layout, the pattern also matches keys that are not tasks of this queue.
                    tasks = [task for task in fetched.tasks if self._queue.holds(task.fields) and self._is_wanted(task)]
                    self.report.listed += len(tasks)
                    await self._write_tasks(tasks)
                    if self._stopping:
                        return

    async def _write_tasks(self, tasks: Sequence[StoredTask]) -> None:
        report = self.report
        lines = []
        for task in tasks:
            if not self._is_wanted(task):
                report.missing += 1
                continue
            try:
                lines.append(self._line(task))
            except UnusableRecordError as error:
                self._reject(task.id, error.reason)
                continue
            if self._options.format == "envelope":
                report.lost.update(_lost(task))
        piece = b"".join(lines)
        await self._write(piece)
        report.exported += len(lines)
        report.bytes_written += len(piece)

    def _line(self, task: StoredTask) -> bytes:
        if self._options.format == "envelope":
            return envelope_line(task)
        if b"\n" in task.payload or not task.payload:
            text = f"{ReasonCode.NOT_ONE_LINE.meaning}: --format envelope keeps it"
            raise UnusableRecordError(ReasonCode.NOT_ONE_LINE, text)
        return task.payload + b"\n"

    def _is_wanted(self, task: StoredTask) -> bool:
        return task.state in ("", self._options.state)

    def _reject(self, task_id: bytes, why: Reason) -> None:
        self.report.count_reject(why, f"task {task_id.decode(errors='backslashreplace')}")
        if len(self.report.rejects) < _MAX_REJECTS_SHOWN:
            self.report.rejects.append((task_id.decode(errors="replace"), why))


def envelope_line(task: StoredTask) -> bytes:
    """A line from which ``load --envelope`` makes the same task, with the same payload byte for byte.

    Options that the layout would otherwise fill with its own defaults are always written, even if they are zero.

    Raises:
        UnusableRecordError: The id is not UTF-8, so JSON cannot hold it.
    """
    options = task.options
    fields: dict[str, Any] = {"id": _utf8_id(task), "queue": task.queue, "max_retry": options.max_retry}
    fields["type"] = task.queue if options.type is None else options.type
    if task.state:
        fields |= {"timeout": options.timeout, "retention": options.retention, **dict(options.lifecycle)}
        fields |= {name: value for name in ("deadline", "unique_ttl") if (value := getattr(options, name))}
        if options.headers:
            fields["headers"] = dict(options.headers)
    fields |= _state(options)
    payload = task.payload
    if b"\n" not in payload and b"\r" not in payload:
        line = msgspec.json.encode(StatefulEnvelope(**fields, payload=msgspec.Raw(payload)))
        if _reads_back(line, payload):
            return line + b"\n"
    return msgspec.json.encode(StatefulEnvelope(**fields, payload_base64=base64.b64encode(payload).decode())) + b"\n"


def _state(options: TaskOptions) -> dict[str, Any]:
    """The fields of version 2 that a task needs. Loaders that know version 1 only can read a line without them."""
    found: dict[str, Any] = {}
    if options.group:
        found |= {"group": options.group, "state": "aggregating" if options.waits_in_group else "pending"}
    if options.past != NEW:
        past = options.past
        found |= {"retried": past.retried} if past.retried else {}
        found |= {"last_error": past.last_error} if past.last_error else {}
        found |= {"last_failed_at": past.last_failed_at} if past.last_failed_at else {}
    if options.fields:
        found |= _hash_fields(options.fields)
    if found or any(not value for _, value in options.lifecycle):
        found["v"] = VERSION
    return found


def _hash_fields(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, dict[str, str]]:
    """Further fields of a hash: as text where both name and value are UTF-8, else both as base64."""
    text: dict[str, str] = {}
    encoded: dict[str, str] = {}
    for name, value in fields:
        try:
            text[name.decode()] = value.decode()
        except UnicodeDecodeError:
            encoded[base64.b64encode(name).decode()] = base64.b64encode(value).decode()
    return {key: found for key, found in (("fields", text), ("fields_base64", encoded)) if found}


def _lost(task: StoredTask) -> list[str]:
    """What an envelope does not hold."""
    return ["message fields that asynq 0.26 does not have"] if task.options.past.unknown else []


_decode = msgspec.json.Decoder(StatefulEnvelope).decode


def _reads_back(line: bytes, payload: bytes) -> bool:
    """Whether a load would read exactly this payload from the line: JSON without white space around it."""
    try:
        orjson.loads(line)  # a load parses the line with orjson first
        return _decode(line).payload_bytes() == payload
    except (ValueError, RecursionError):  # ValueErrors of orjson and msgspec; RecursionError: nested too deep
        return False


def _utf8_id(task: StoredTask) -> str:
    try:
        return task.id.decode()
    except UnicodeDecodeError:
        raise UnusableRecordError(ReasonCode.ID_NOT_UTF8, ReasonCode.ID_NOT_UTF8.meaning) from None
