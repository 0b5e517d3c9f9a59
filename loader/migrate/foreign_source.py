"""The jobs of another system as a source of tasks. It is only read."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from loader.foreign.job import ForeignJob, Found, Jobs, json_object
from loader.foreign.listed import Frozen
from loader.foreign.system import System
from loader.migrate.options import MigrateOptions
from loader.migrate.source import Verb
from loader.servers.session import Session
from loader.shaping.settle import expression_of
from loader.stored.fetch import Fetched
from loader.stored.stored_task import StoredTask
from loader.tasks.envelope import EnvelopeReader
from loader.tasks.ids import check_task_id
from loader.tasks.options import Past, TaskOptions
from loader.tasks.reasons import ReasonCode, UnusableRecordError

_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class TaskOfJob(StoredTask):
    """A task made of a job.

    Attributes:
        lost: What the job had and the task cannot hold.
    """

    lost: tuple[str, ...] = ()


class JobTranslation:
    """Gives what ``JobReader`` has made of a job; see ``Translates``."""

    def options_of(self, task: StoredTask) -> TaskOptions:
        """The options for the target's encoder."""
        return task.options

    def lost(self, task: StoredTask) -> list[str]:
        """What the job had and the task cannot hold."""
        return list(task.lost) if isinstance(task, TaskOfJob) else []


class JobReader:
    """Makes tasks of jobs, by the rules for envelopes.

    Args:
        forwarded: The queues in which tasks with a start time run; None if this is not checked.
    """

    def __init__(self, options: MigrateOptions, forwarded: Collection[str] | None) -> None:
        target = options.target
        self._options, self._queue = options, options.target_queue
        self._asynq = options.target_layout == "asynq"
        self._template = expression_of("--select", options.select)
        self._waits_for_ever = forwarded is not None and self._queue not in forwarded
        self._envelopes = EnvelopeReader(
            target.task_options,
            timeout=target.defaults.timeout,
            asynq=self._asynq,
            needs_type=target.defaults.needs_type and options.type is None,
            groups=options.profile == "asynq",
        )

    def task_of(self, job: ForeignJob, now: float) -> TaskOfJob:
        """A job as a task.

        Raises:
            UnusableRecordError: The target's layout or workers cannot have it.
        """
        task_id = check_task_id(job.id).encode()
        lost = list(job.lost)
        members: list[tuple[str, bytes]] = []
        if job.name and self._options.type is None:
            members.append(("type", msgspec.json.encode(job.name)))
        if job.max_retry is not None:
            members.append(("max_retry", b"%d" % job.max_retry))
        if job.start_at > now:
            if job.start_at >= _LATEST:
                raise _unusable("its start time is after the year 9999")
            if not self._asynq:
                raise _unusable(
                    f"it must not run before {_shown(job.start_at)}, and the documented layout has no start times: "
                    "migrate to layout asynq, or again when it is due"
                )
            if self._waits_for_ever:
                raise _unusable(
                    f"it must not run before {_shown(job.start_at)}, and no asynq server serves queue {self._queue}; "
                    "runqy's workers do not run scheduled tasks (--force-schedule migrates it all the same)"
                )
            members.append(("process_at", b"%d" % -(-job.start_at // 1)))
        for name, value in (("timeout", job.timeout), ("deadline", int(job.deadline))):
            if value and self._asynq:
                members.append((name, b"%d" % value))
            elif value:
                lost.append(name)
        payload = self._payload(job)
        record = json_object([*members, ("payload", payload)])
        envelope, options = self._envelopes.read(record)
        if job.retried:
            options = replace(options, past=Past(retried=min(job.retried, 2**31 - 1)))
        return TaskOfJob(
            id=task_id,
            queue=self._queue,
            payload=envelope.payload_bytes(),
            options=options,
            state="",
            lock="",
            fields={},
            lost=tuple(dict.fromkeys(lost)),
        )

    def _payload(self, job: ForeignJob) -> bytes:
        if self._template is None:
            return job.document if self._options.payload == "envelope" else job.arguments
        from loader.shaping.number_text import read, write  # extras that only a template needs

        texts = (("id", job.id), ("name", job.name))
        parts = [*((name, msgspec.json.encode(text)) for name, text in texts), ("arguments", job.arguments)]
        try:
            made = self._template.of(read(json_object([*parts, ("job", job.document)])))
            if made is None:
                raise self._template.unusable("gives null, not a payload")
            return write(made)
        except RecursionError:
            raise self._template.unusable("the job nests too deeply") from None


class ForeignSnapshot:
    """A ``TaskSource`` with the jobs that waited in another system at the beginning.

    Args:
        at_most: The number of tasks to hand out at a time.
    """

    def __init__(self, session: Session, system: System, reader: JobReader, stack: ExitStack, at_most: int) -> None:
        self._frozen = Frozen(session, stack)
        self._system = system
        self._reader = reader
        self._at_most = at_most
        self._jobs: Jobs | None = None
        self._rest = Found()

    async def take(self, in_flight: int) -> Fetched:
        if self._jobs is None:
            self._jobs = await self._system.jobs(self._frozen)
        rest = self._rest
        while not (rest.jobs or rest.missing or rest.refused):
            found = await anext(self._jobs, None)
            if found is None:
                return Fetched()
            self._rest = rest = found
        jobs, rest.jobs = rest.jobs[: self._at_most], rest.jobs[self._at_most :]
        fetched = Fetched(missing=rest.missing, unreadable=rest.refused)
        rest.missing, rest.refused = [], []
        now = time.time()
        for job in jobs:
            try:
                fetched.tasks.append(self._reader.task_of(job, now))
            except UnusableRecordError as error:
                fetched.unreadable.append((job.id.encode(errors="replace"), error.reason))
        return fetched

    async def settle(self, verb: Verb, ids: Sequence[bytes]) -> None:
        pass


def _unusable(text: str) -> UnusableRecordError:
    return UnusableRecordError(ReasonCode.BAD_ENVELOPE, text)


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
