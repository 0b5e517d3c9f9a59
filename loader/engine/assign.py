"""Gives each valid record its queue and its id."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from loader.engine.queue_field import has_field, no_queue_field
from loader.errors import QueueNameError
from loader.queues.names import resolve_queue
from loader.queues.spread import queue_of_batch, queue_of_id
from loader.settings import LoadOptions
from loader.settings.error_limit import FIRST_RECORDS
from loader.shaping.settle import expression_of
from loader.sinks.base import Delivery
from loader.sources.validate import Batch
from loader.tasks.ids import check_task_id, check_task_ids, id_prefix, id_suffixes
from loader.tasks.options import TaskOptions
from loader.tasks.reasons import ReasonCode, UnusableRecordError

if TYPE_CHECKING:
    from loader.shaping.expression import Expression
    from loader.tasks.envelope import EnvelopeReader

# Hot path: Python 3.11 needs 170 ns to look up an enum member, and each record would need one or two look-ups.
_BAD_ID = ReasonCode.BAD_ID
_BAD_QUEUE = ReasonCode.BAD_QUEUE


class Assigner:
    """Turns validated batches into deliveries.

    Args:
        job: Name of the job.
        origins: Number and digest of each source. The ids are made from these and the job's name.
        known_queues: Full names of the queues that exist; None if this is not checked.
        forwarded: Full names of the queues in which tasks with a start time run; None if this is not checked.
    """

    def __init__(
        self,
        options: LoadOptions,
        job: str,
        origins: Sequence[tuple[int, str]],
        known_queues: Collection[str] | None,
        forwarded: Collection[str] | None = None,
    ) -> None:
        self._options = options
        self._known_queues = known_queues
        self._forwarded = forwarded
        self._default_queue = options.default_queue
        self._spread = options.own_queues if options.spread is not None else []
        self._job = job
        self._origins = origins
        self._prefix: tuple[tuple[int, int], bytes] = ((-1, -1), b"")
        self._names: dict[str, str] = {}
        self._sub_queues = options.defaults.sub_queues
        self._fallbacks = 0
        self._without_field = 0
        self._has_field = False  # whether one of the records judged so far has it
        self._id_from = expression_of("--id-from", options.id_from)
        self._queue_from = expression_of("--queue-from", options.queue_from)
        self._envelopes: EnvelopeReader | None = None
        if options.envelope:
            from loader.tasks.envelope import EnvelopeReader  # msgspec: 8 ms that only this option needs

            self._envelopes = EnvelopeReader(
                options.task_options,
                timeout=options.defaults.timeout if options.task_timeout is None else None,
                asynq=options.layout_name == "asynq",
                needs_type=options.defaults.needs_type and options.type is None,
                groups=options.profile == "asynq",
            )

    @property
    def needs_values(self) -> bool:
        """Whether batches must keep their parsed records."""
        options = self._options
        return (options.id_field or options.id_from or options.queue_field or options.queue_from) is not None

    @property
    def counts_fallbacks(self) -> bool:
        """Whether records may name no queue and go to ``--queue``."""
        return self._options.queue_field is not None or self._queue_from is not None

    def take_fallbacks(self) -> int:
        """The number of records that name no queue and went to ``--queue``, since the last call."""
        taken, self._fallbacks = self._fallbacks, 0
        return taken

    def judge_queue_field(self, batch: Batch, fallbacks: int, *, is_last: bool) -> None:
        """Judges an input that cannot be read twice, batch by batch; see ``require_queue_field``.

        Args:
            batch: An assigned batch, of a load with ``--queue-field``.
            fallbacks: ``take_fallbacks`` after it.
            is_last: Whether the input ends with it.

        Raises:
            UsageError: None of its first records, or of all its records, has the field.
        """
        if self._default_queue is None or self._has_field:
            return
        if fallbacks < len(batch.payloads):
            self._has_field = True
            return
        self._without_field += fallbacks
        if self._without_field and (is_last or self._without_field >= FIRST_RECORDS):
            raise no_queue_field(self._options, self._without_field)

    def assign(self, batch: Batch) -> list[Delivery]:
        """One delivery for each queue. Records without a usable id or queue are added to ``batch.rejected``."""
        piece = (batch.source_index, batch.raw.start)
        if self._prefix[0] != piece:  # batches come piece by piece, so the last prefix nearly always applies
            self._prefix = (piece, id_prefix(self._job, *self._origins[piece[0]], piece[1]))
        prefix = batch.id_prefix = self._prefix[1]
        if self._envelopes is not None:
            return self._by_envelope(batch, prefix, self._envelopes)
        if batch.values is None:
            return self._plain(batch, prefix, batch.payloads)
        return self._by_record(batch, prefix, batch.values)

    def _plain(self, batch: Batch, prefix: bytes, payloads: list[bytes]) -> list[Delivery]:
        if not payloads:
            return []
        total = len(batch.raw.records)
        keep = None
        if batch.kept is not None:
            keep = [False] * total
            for index in batch.kept:
                keep[index] = True
        ids = id_suffixes(batch.raw.first_record, total, keep)
        queue = self._default_queue
        assert queue is not None  # noqa: S101 - checked by LoadOptions, or by the caller
        if self._spread:
            queue = queue_of_batch(self._spread, batch.shard, batch.number)
        return [Delivery(batch, queue, prefix, ids, payloads, batch.kept or range(total))]

    def _by_record(self, batch: Batch, prefix: bytes, values: list[Any]) -> list[Delivery]:
        id_field, has_own_ids = self._options.id_field, self._options.own_ids is not None
        one_queue = not (self._options.records_name_queues or self._spread)
        if id_field is not None and one_queue and (own_ids := _ids_at_once(values, id_field)):
            assert self._default_queue is not None  # noqa: S101 - checked by LoadOptions
            records = batch.kept or range(len(values))
            return [Delivery(batch, self._default_queue, b"", own_ids, batch.payloads, records)]
        suffixes = id_suffixes(batch.raw.first_record, len(batch.raw.records)) if not has_own_ids else None
        groups: dict[str, tuple[list[bytes], list[bytes], list[int]]] = defaultdict(lambda: ([], [], []))
        for position, (payload, value) in enumerate(zip(batch.payloads, values, strict=True)):
            index = position if batch.kept is None else batch.kept[position]
            try:
                queue = "" if self._spread else self._queue_of(value)
                task_id = suffixes[index] if suffixes is not None else check_task_id(self._own_id(value)).encode()
                queue = queue or queue_of_id(self._spread, task_id)
            except UnusableRecordError as error:
                batch.rejected.append((index, error.reason))
                continue
            ids, payloads, records = groups[queue]
            ids.append(task_id)
            payloads.append(payload)
            records.append(index)
        kept_prefix = b"" if has_own_ids else prefix
        return [Delivery(batch, queue, kept_prefix, *columns) for queue, columns in groups.items()]

    def _by_envelope(self, batch: Batch, prefix: bytes, envelopes: EnvelopeReader) -> list[Delivery]:
        if self._default_queue is not None and (bare := envelopes.payloads(batch.payloads)) is not None:
            return self._plain(batch, prefix, bare)
        suffixes = id_suffixes(batch.raw.first_record, len(batch.raw.records))
        groups: dict[str, tuple[list[bytes], list[bytes], list[int], list[TaskOptions]]]
        groups = defaultdict(lambda: ([], [], [], []))
        special: set[str] = set()
        for position, record in enumerate(batch.payloads):
            index = position if batch.kept is None else batch.kept[position]
            try:
                envelope, options = envelopes.read(record)
                payload = envelope.payload_bytes()
                queue = self._resolved(envelope.queue) if envelope.queue is not None else self._fallback()
                task_id = check_task_id(envelope.id).encode() if envelope.id is not None else prefix + suffixes[index]
                if self._forwarded is not None and options is not envelopes.defaults:
                    self._check_start(queue, options)
            except UnusableRecordError as error:
                batch.rejected.append((index, error.reason))
                continue
            if envelope.id is not None or options is not envelopes.defaults:
                special.add(queue)
            ids, payloads, records, tasks = groups[queue]
            ids.append(task_id)
            payloads.append(payload)
            records.append(index)
            tasks.append(options)
        return [
            Delivery(batch, queue, b"", ids, payloads, records, tasks)
            if queue in special  # otherwise as without envelopes, which is twice as fast
            else Delivery(batch, queue, prefix, [suffixes[index] for index in records], payloads, records)
            for queue, (ids, payloads, records, tasks) in groups.items()
        ]

    def _check_start(self, queue: str, options: TaskOptions) -> None:
        """Raises UnusableRecordError if the task has a start time, and nothing would run it when it is due."""
        assert self._forwarded is not None  # noqa: S101 - checked by the caller
        if queue not in self._forwarded and options.starts_at(time.time()):
            raise UnusableRecordError(
                ReasonCode.BAD_ENVELOPE,
                "its start time would be ignored and it would never run: no asynq server serves queue "
                f"{queue}, and runqy's workers do not run scheduled tasks "
                "(load it from the rejects file with --force-schedule)",
            )

    def _fallback(self) -> str:
        if self._default_queue is None:
            raise _bad_queue("the record names no queue, and --queue gives none")
        return self._default_queue

    def _queue_of(self, value: Any) -> str:
        """The full name of the record's queue. Raises UnusableRecordError if the record names no usable queue."""
        if self._queue_from is not None:
            return self._named_by(self._queue_from, value)
        field = self._options.queue_field
        if field is None or (self._default_queue is not None and not has_field(value, field)):
            assert self._default_queue is not None  # noqa: S101 - checked by LoadOptions
            self._fallbacks += field is not None
            return self._default_queue
        name = _field(value, field, _BAD_QUEUE)
        if not isinstance(name, str):
            raise _bad_queue(f"field {field!r} is not text, so it names no queue")
        return self._resolved(name)

    def _named_by(self, expression: Expression, value: Any) -> str:
        name = expression.of(value)
        if name is None or name is False:
            self._fallbacks += self._default_queue is not None
            return self._fallback()
        if not isinstance(name, str):
            raise expression.unusable("does not give text, so it names no queue")
        return self._resolved(name)

    def _own_id(self, value: Any) -> Any:
        if self._id_from is not None:
            return self._id_from.of(value)
        return _field(value, self._options.id_field, _BAD_ID)

    def _resolved(self, name: str) -> str:
        if name not in self._names:
            try:
                queue = resolve_queue(name, sub_queues=self._sub_queues)
            except QueueNameError as error:
                raise _bad_queue(str(error)) from error
            if self._known_queues is not None and queue not in self._known_queues:
                raise UnusableRecordError(ReasonCode.UNKNOWN_QUEUE, f"queue {queue!r} does not exist")
            self._names[name] = queue
        return self._names[name]


def _ids_at_once(values: list[Any], name: str) -> list[bytes] | None:
    """The ids of all records; None if some may be unusable, so that each record must be checked by itself."""
    try:
        return check_task_ids([value[name] for value in values])
    except (KeyError, TypeError):  # a record is not an object, or has no such field
        return None


def _field(value: Any, name: str | None, code: ReasonCode) -> Any:
    """The value of a field. Raises UnusableRecordError with this code if the record has no such field."""
    if not isinstance(value, dict):
        raise UnusableRecordError(code, f"the record is not an object, so it has no field {name!r}")
    if name not in value:
        raise UnusableRecordError(code, f"the record has no field {name!r}")
    return value[name]


def _bad_queue(text: str) -> UnusableRecordError:
    return UnusableRecordError(_BAD_QUEUE, text)
