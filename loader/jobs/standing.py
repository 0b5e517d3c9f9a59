"""What a job's record says: whether it is loaded, is being rolled back, and until when it is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import hiredis
import orjson

from loader.errors import RolledBackError
from loader.jobs.manifest import has_own_ids, records_name_queues
from loader.jobs.orders import PAUSED, RATE, Orders, orders_of
from loader.jobs.records import digits_of, prefix_from
from loader.servers.clock import clock_seconds
from loader.servers.routing import Servers
from loader.wire.faults import translated

LOADING, DONE, UNDOING, UNDONE = "loading", "done", "undoing", "undone"
"""The field ``state``: not all is in; all is in; is being rolled back; was rolled back, but for some tasks."""

_DIGITS = 10


def job_key(name: str) -> str:
    """The key of a job's record."""
    return f"runqy-loader:{{{name}}}:job"


def job_in(key: bytes) -> str:
    """The name of the job whose record a key is."""
    before, after = job_key("*").split("*")
    return key.decode(errors="replace").removeprefix(before).removesuffix(after)


def lease_key(name: str) -> str:
    """The key of a job's lease."""
    return f"runqy-loader:{{{name}}}:lease"


def queues_key(name: str) -> str:
    """The key with the queues of a job whose records name them."""
    return f"runqy-loader:{{{name}}}:queues"


@dataclass(frozen=True, slots=True)
class Standing:
    """A job's record.

    Attributes:
        manifest: None if the job has no record, or only the number of its runs.
        state: See ``LOADING`` and the others; '' without a record.
        created, finished: Unix times.
        report: The report of its last completed run.
        ids: Path of its ids file.
        holder: Who holds its lease, as JSON; None if nobody does.
        expires: When its keys end, in milliseconds since 1970; None if they stay.
        marks: How many marks its ledgers had when ``expires`` was set.
        prefixes: Of the ids that are generated for it; None if an earlier version has begun it.
        undone: What a rollback has noted.
        rejects: Path of its rejects file.
        is_noted: Whether each of its queues is noted, where records name them.
        read_at: When this was read: the server's Unix time, in seconds.
        orders: What users have ordered from another terminal.
    """

    name: str
    manifest: dict[str, Any] | None = None
    state: str = ""
    created: float | None = None
    finished: float | None = None
    report: dict[str, Any] = field(default_factory=dict)
    ids: str | None = None
    holder: dict[str, Any] | None = None
    expires: int | None = None
    marks: int = 0
    prefixes: frozenset[bytes] | None = None
    undone: dict[str, Any] = field(default_factory=dict)
    rejects: str | None = None
    is_noted: bool = False
    read_at: float = 0.0
    orders: Orders = field(default_factory=Orders)

    @property
    def is_over(self) -> bool:
        """Whether the job does not go on: it is finished, or was rolled back."""
        return self.state in (DONE, UNDONE)

    @property
    def has_ended(self) -> bool:
        """Whether the time is over for which its record was to be kept. The record itself stays a little longer."""
        return self.expires is not None and self.expires / 1000 <= self.read_at

    @property
    def is_migration(self) -> bool:
        return (self.manifest or {}).get("command") is not None

    @property
    def has_own_ids(self) -> bool:
        """Whether ids may come from the records."""
        return has_own_ids(self.manifest or {})

    @property
    def records_name_queues(self) -> bool:
        return records_name_queues(self.manifest or {})

    def refuse_rolled_back(self, *, again: bool = False) -> None:
        """Raises RolledBackError if the job cannot be loaded as it is.

        Args:
            again: Whether the input may be loaded a second time, as another job.
        """
        if self.state == UNDOING:
            raise RolledBackError(
                f"job {self.name} is being rolled back: its tasks are taken out of the queue",
                f"Finish that first: runqy-loader rollback {self.name}",
            )
        if self.state == UNDONE and not again and not self.has_ended:
            raise RolledBackError(
                f"job {self.name} was rolled back on {shown_time(self.undone.get('time'))}, and "
                f"{shown_left(self.undone.get('left'))} of its tasks had been taken by then: they would run twice",
                f"Give --again to load it all nevertheless (with --job, another name); or give up the record: "
                f"runqy-loader jobs forget {self.name}",
            )


def shown_left(left: int | None) -> str:
    """The number of tasks that a rollback has left, for messages."""
    return "an unknown number" if left is None else f"{left:,}"


def shown_time(moment: float | None) -> str:
    """A Unix time, for messages."""
    return "an unknown day" if moment is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


async def read_standing(servers: Servers, name: str) -> Standing:
    """Reads a job's record and its lease.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    key = job_key(name)
    with translated(f"{servers}, key {key}"):
        commands = (("HGETALL", key), ("GET", lease_key(name)), ("TIME",))
        fields, holder, clock = await servers.client_of(key).ask(commands)
        for reply in (fields, holder):
            if isinstance(reply, hiredis.ReplyError):
                raise reply
    return standing_of(name, fields, holder, clock_seconds(clock) or time.time())


def standing_of(name: str, fields: Mapping[bytes, bytes], holder: bytes | None, read_at: float) -> Standing:
    """A job from the fields of its record, and its lease."""
    manifest, prefixes, expires = fields.get(b"manifest"), fields.get(b"prefixes"), fields.get(b"expires")
    return Standing(
        name,
        None if manifest is None else orjson.loads(manifest),
        fields.get(b"state", b"").decode(),
        _number(fields.get(b"created")),
        _number(fields.get(b"finished")),
        orjson.loads(fields.get(b"report") or b"{}"),
        _path(fields.get(b"ids")),
        _holder(holder),
        int(expires or 0) or None,
        int(fields.get(b"marks") or 0),
        None if prefixes is None else unpacked(prefixes),
        orjson.loads(fields.get(b"undone") or b"{}"),
        _path(fields.get(b"rejects")),
        fields.get(b"noted") == b"1",
        read_at,
        orders_of(fields.get(PAUSED.encode()), fields.get(RATE.encode())),
    )


def packed(prefixes: list[bytes]) -> bytes:
    """Prefixes of ids as the record has them: ten bytes each."""
    return b"".join(map(digits_of, dict.fromkeys(prefixes)))


def unpacked(text: bytes) -> frozenset[bytes]:
    """The prefixes that ``packed`` has made a text of."""
    return frozenset(prefix_from(text[at : at + _DIGITS]) for at in range(0, len(text), _DIGITS))


def _number(text: bytes | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _path(text: bytes | None) -> str | None:
    return None if text is None else text.decode(errors="replace")


def _holder(text: bytes | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
