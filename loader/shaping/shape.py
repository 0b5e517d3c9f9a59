"""Chooses records of a batch, and makes their payloads: the step between validation and the records' ids and queues.

The order is fixed: sample, where, dedup, offset and limit, then select or set. All expressions see the record as it is
in the input.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from loader.settings import LoadOptions
from loader.settings.share import share_of
from loader.shaping.number_text import is_false, read, read_all, type_name, write
from loader.shaping.settle import expression_of, parsed
from loader.shaping.splice import with_member
from loader.sources.record_limit import RecordLimit
from loader.sources.validate import Batch
from loader.tasks.reasons import Reason, ReasonCode, UnusableRecordError

if TYPE_CHECKING:
    from loader.shaping.expression import Expression

_KEY_BYTES = 16
"""Bytes of a key's digest. Among a billion keys, two have the same one with a probability of 1e-21."""


class LeftOut(Protocol):
    """Counts the records that are left out, by what does not want them. They are no rejects.

    Attributes:
        filtered: ``--where`` is not true for them.
        not_sampled: They do not belong to ``--sample``.
        duplicates: A record before them has the same key (``--dedup``).
        outside: They are before ``--offset`` or after ``--limit``.
    """

    filtered: int
    not_sampled: int
    duplicates: int
    outside: int


class Shape:
    """Shapes the batches of a load, one after the other.

    Args:
        options: Settled options (``loader.shaping.settle``).
        keep_values: Whether batches must keep the parsed records, for their ids and queues.
        limit: The longest payload that is accepted.

    Attributes:
        is_over: Whether no record that follows can be a task.
    """

    def __init__(self, options: LoadOptions, limit: RecordLimit, *, keep_values: bool) -> None:
        self._keep_values = keep_values
        self._longest = limit
        self._where = expression_of("--where", options.where)
        self._dedup = expression_of("--dedup", options.dedup)
        self._select = expression_of("--select", options.select)
        self._members = [
            (name, parsed(f"--set {name}", text)) for name, _, text in (one.partition("=") for one in options.set)
        ]
        self._share = None if options.sample is None else int(share_of(options.sample) * 2**64)
        self._seed = options.sample_seed.to_bytes(8, "little")
        self._first = options.offset
        self._end = None if options.limit is None else options.offset + options.limit
        self._seen = 0  # records that sample, where and dedup have kept
        self._keys: set[bytes] = set()
        self._needs_values = keep_values or bool(self._members or self._where or self._dedup or self._select)
        # Only --where and --select, which can be done for a batch at once.
        self._is_plain = self._needs_values and not (options.counts_in_order or options.sample or options.set)
        self.is_over = False

    def apply(self, batch: Batch, left: LeftOut) -> None:
        """Leaves records of a batch out, and makes the payloads of the others.

        Records for which an expression is not usable become rejects. Invalid records before the offset or after the
        limit are left out: they are no rejects of this load.

        Args:
            left: Counts what is left out.
        """
        if self._is_plain and not batch.rejected and batch.kept is None and self._apply_plainly(batch, left):
            return
        kept: list[int] = []
        payloads: list[bytes] = []
        values: list[Any] = []
        rejected: list[tuple[int, Reason]] = []
        for index, record in self._records(batch):
            if self.is_over:
                left.outside += 1
                continue
            value: Any = None
            reason: Reason | None = None
            if isinstance(record, Reason):
                reason = record
            else:
                try:
                    if not self._is_wanted(record, value := self._read(record), left):
                        continue
                except UnusableRecordError as error:
                    reason = error.reason
            if self._seen < self._first:
                self._seen += reason is None
                left.outside += 1
                continue
            if isinstance(record, bytes) and reason is None:
                self._seen += 1
                self.is_over = self._seen == self._end
                try:
                    payloads.append(self._payload(record, value))
                except UnusableRecordError as error:
                    reason = error.reason
            if reason is not None:
                rejected.append((index, reason))
                continue
            kept.append(index)
            values.append(value)
        batch.kept = None if len(kept) == len(batch.raw.records) else kept
        batch.payloads = payloads
        batch.values = values if self._keep_values else None
        batch.rejected = rejected

    def _apply_plainly(self, batch: Batch, left: LeftOut) -> bool:
        """Chooses and makes payloads, if all records of the batch are usable. If not, it does nothing.

        Hot path: a --select takes three quarters of the time that it takes one by one.
        """
        payloads = batch.payloads
        try:
            values = read_all(payloads)
            kept: list[int] | None = None
            if self._where is not None:
                holds = list(map(self._where.of, values))
                if not all(one is True or one is False or one is None for one in holds):
                    return False
                if not all(holds):
                    kept = [index for index, one in enumerate(holds) if one]
                    payloads, values = list(compress(payloads, holds)), list(compress(values, holds))
            if self._select is not None:
                made = list(map(self._select.of, values))
                if None in made:
                    return False
                payloads = list(map(write, made))
        except (RecursionError, UnusableRecordError):
            return False
        if self._select is not None and max(map(len, payloads), default=0) > self._longest.size:
            return False
        left.filtered += len(batch.payloads) - len(payloads)
        batch.kept, batch.payloads = kept, payloads
        batch.values = values if self._keep_values else None
        return True

    def _records(self, batch: Batch) -> list[tuple[int, bytes | Reason]]:
        """The records of a batch in their order, invalid ones as the reasons."""
        kept = range(len(batch.payloads)) if batch.kept is None else batch.kept
        records: list[tuple[int, bytes | Reason]] = list(zip(kept, batch.payloads, strict=True))
        if batch.rejected:
            records += batch.rejected
            records.sort(key=itemgetter(0))
        return records

    def _read(self, record: bytes) -> Any:
        if not self._needs_values:
            return None
        try:
            return read(record)
        except RecursionError:
            raise _unusable("the record nests too deeply to be shaped") from None

    def _is_wanted(self, record: bytes, value: Any, left: LeftOut) -> bool:
        if self._share is not None:
            digest = blake2b(record, digest_size=8, key=self._seed).digest()
            if int.from_bytes(digest, "big") >= self._share:
                left.not_sampled += 1
                return False
        if self._where is not None and not _holds(self._where, value):
            left.filtered += 1
            return False
        if self._dedup is not None and self._is_duplicate(self._dedup, value):
            left.duplicates += 1
            return False
        return True

    def _is_duplicate(self, expression: Expression, value: Any) -> bool:
        found = expression.of(value)
        if found is None:
            return False  # without a key, there is nothing to compare
        key = blake2b(_written(found, sort=True), digest_size=_KEY_BYTES).digest()
        if key in self._keys:
            return True
        self._keys.add(key)
        return False

    def _payload(self, record: bytes, value: Any) -> bytes:
        if self._select is not None:
            made = self._select.of(value)
            if made is None:
                raise self._select.unusable("gives null, not a payload")
            record = _written(made)
        elif self._members:
            if not isinstance(value, dict):
                raise _unusable(f"the record is {type_name(value)}: --set needs an object")
            names = set(value)
            for name, expression in self._members:
                member = _written(expression.of(value))
                try:
                    record = with_member(record, name, member, is_there=name in names)
                except RecursionError:
                    raise expression.unusable("the record nests too deeply") from None
                names.add(name)
        else:
            return record
        if len(record) > self._longest.size:
            text = f"the payload is {len(record)} bytes long, over {self._longest.name}"
            raise UnusableRecordError(ReasonCode.TOO_LARGE, text)
        return record


def _holds(expression: Expression, value: Any) -> bool:
    """Whether a condition is true. As in JMESPath's filters, null and empty values count as false.

    Raises:
        UnusableRecordError: It is neither true nor false: a number, a text, an array or an object. By JMESPath's rules
            these are true (0 as well), but most likely, a comparison is missing.
    """
    found = expression.of(value)
    if found is True:
        return True
    if is_false(found):
        return False
    raise expression.unusable(f"gives {type_name(found)}, not true or false")


def _written(value: Any, *, sort: bool = False) -> bytes:
    try:
        return write(value, sort=sort)
    except RecursionError:
        raise _unusable("the result nests too deeply to be written") from None


def _unusable(text: str) -> UnusableRecordError:
    return UnusableRecordError(ReasonCode.BAD_SHAPE, text)
