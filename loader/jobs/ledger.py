"""The loaded batches of a job: one bit a batch, set by the same server-side step that pushes the batch's ids.

The input is cut into shards, and each shard has a ledger for each queue that its tasks go to.

Keys, all in the cluster slot of the queue's pending list:

- ``<tag>:runqy-loader:<job>:<shard>:batches``: a bitmap; bit k is set once batch k is pushed.
- ``<tag>:runqy-loader:<job>:<shard>:checksums``: CRC-32 of each batch, four bytes each, so that a resume detects
  changed input.
- ``<tag>:runqy-loader:<job>:<shard>:records``: which records each batch holds; see ``records.py``.
- ``<tag>:runqy-loader:<job>:<shard>:skipped``: a hash from batch to the positions that were not loaded. They are
  comma-separated, each with the letter of ``_LETTERS`` for the reason. The key is missing if no task was skipped.
- ``<tag>:runqy-loader:<job>:<shard>:claim``: which run of the shard may write, where several machines load the job; see
  ``claims.py``. The key is missing otherwise.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from loader.jobs.ledger_scripts import commit_script, insert_script
from loader.layouts.base import QueueEncoder
from loader.layouts.lua import as_sent
from loader.tasks.ids import ID_BYTES
from loader.tasks.options import TaskOptions
from loader.tasks.reasons import Reason, ReasonCode
from loader.wire.resp import bulk, bulks, command

_LETTERS = {
    ReasonCode.ID_TAKEN: "",
    ReasonCode.WRONG_TYPE: "t",
    ReasonCode.DUPLICATE_UNIQUE: "u",
    ReasonCode.ALREADY_MIGRATED: "a",
}
"""The letter for each reason why a task is not placed. It follows the position in the ledger and in replies of scripts.

The meaning of a letter never changes, because a job may be begun with one version and resumed with another.
"""
PARTS = (b":batches", b":checksums", b":skipped", b":records", b":claim")
"""The ends of the keys of a ledger; the first is the bitmap."""
_REASONS = {letter: Reason.of(code) for code, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The content of the ledger when a run begins.

    Attributes:
        before: The bitmap when the load began, if this is another run of a shard within the same load; None if
            ``batches`` is that.
    """

    batches: bytes = b""
    checksums: bytes = b""
    skipped: dict[int, dict[int, Reason]] = field(default_factory=dict)
    before: bytes | None = None

    @classmethod
    def of(
        cls, batches: bytes | None, checksums: bytes | None, skipped: Mapping[bytes, bytes], before: bytes | None = None
    ) -> Self:
        """The state, from the values of the ledger's keys. None is the value of a key that is not there."""
        positions = {int(batch): parse_skipped(text) for batch, text in skipped.items()}
        return cls(batches or b"", checksums or b"", positions, before)

    def is_loaded(self, batch: int) -> bool:
        return is_set(self.batches, batch)

    def is_of_this_load(self, batch: int) -> bool:
        """Whether a batch that is loaded was not when the load began: an earlier run of its shard has loaded it."""
        return self.before is not None and not is_set(self.before, batch)

    def has_after(self, batches: int) -> bool:
        """Whether a batch is loaded whose number is this one or a later one."""
        left = 8 * len(self.batches) - batches
        return left > 0 and bool(int.from_bytes(self.batches, "big") & ((1 << left) - 1))

    def checksum(self, batch: int) -> int:
        return int.from_bytes(self.checksums[4 * batch : 4 * batch + 4], "big")


def is_set(bitmap: bytes, number: int) -> bool:
    """Whether a bit of a Redis bitmap is set."""
    byte, bit = divmod(number, 8)
    return byte < len(bitmap) and bool(bitmap[byte] >> (7 - bit) & 1)


def batches_keys(slot_tag: bytes, job: str, manifest: Mapping[str, Any]) -> list[bytes]:
    """The keys with the loaded batches of a job in one queue: one for each shard that the job may have.

    Args:
        slot_tag: See ``QueueEncoder``.
        manifest: The recorded manifest of a load.
    """
    stored = sum(source.get("size") or 0 for source in manifest.get("sources", []))
    # A shard ends at its size, or at the end of a source.
    most = stored // int(manifest.get("shard_bytes") or 1) + len(manifest.get("sources", [])) + 1
    return [batches_key(slot_tag, job, shard) for shard in range(most)]


def batches_key(slot_tag: bytes, job: str, shard: int) -> bytes:
    """The key with the loaded batches of one shard of a job in one queue."""
    return _base(slot_tag, job, shard) + PARTS[0]


def _base(slot_tag: bytes, job: str, shard: int) -> bytes:
    return b"%b:runqy-loader:%b:%d" % (slot_tag, job.encode(), shard)


class QueueLedger:
    """Builds the commands that commit batches of one shard of a job to one queue.

    Args:
        fenced: Whether each script checks ``claim``.

    Attributes:
        claim: The claim of the run that writes, if it is fenced.
    """

    def __init__(self, job: str, encoder: QueueEncoder, shard: int = 0, *, fenced: bool = False) -> None:
        base = _base(encoder.slot_tag, job, shard)
        self.batches_key, self.checksums_key, self.skipped_key, self.records_key, self.claim_key = (
            base + part for part in PARTS
        )
        self.claim = b""
        keys = [encoder.pending_key, self.batches_key, self.checksums_key, self.skipped_key, self.records_key]
        keys += [self.claim_key] if fenced else []
        self._fenced = fenced
        self._key_count = len(keys) + 1
        self._encoder = encoder
        self._looks = encoder.commands_a_task > 0  # otherwise, the hashes are on other servers of a cluster
        # EVAL with the whole script, not EVALSHA: it costs a kilobyte a batch, but avoids NOSCRIPT after a failover.
        commit, insert = as_sent(commit_script(fenced=fenced)), as_sent(insert_script(encoder, fenced=fenced))
        self._commit_head = bulks((b"EVAL", commit, b"%d" % len(keys), *keys))
        self._insert_head = bulks((b"EVAL", insert, b"%d" % len(keys), *keys))

    def commit(
        self,
        batch: int,
        checksum: int,
        id_prefix: bytes,
        suffixes: Sequence[bytes],
        skipped: Mapping[int, Reason] | None = None,
        records: bytes = b"",
    ) -> bytes:
        """Pushes ids whose hashes are written, and marks the batch. Reply: the skipped positions in the ledger.

        The reply is the error LOST, and nothing is done, if the server has lost the first or the last of these hashes.

        Args:
            suffixes: In the order in which the hashes were written.
            records: See ``records.entry_of``.
        """
        # Hot path: one join. The bytes between two suffixes are constant within a source.
        between = b"\r\n$%d\r\n%b" % (ID_BYTES, id_prefix)
        first = last = b""
        if self._looks and suffixes:
            first, last = (self._encoder.task_key(id_prefix + suffixes[at]) for at in (0, -1))
        head = b"*%d\r\n%b%b%b%b%b%b" % (
            2 + self._key_count + 5 + len(suffixes) + self._fenced,
            self._commit_head,
            bulk(b"%d" % batch),
            bulk(checksum.to_bytes(4, "big") + records),
            bulk(format_skipped(skipped) if skipped else b""),
            bulk(first),
            bulk(last),
        )
        tail = bulk(self.claim) if self._fenced else b""
        return b"".join((head, between[2:], between.join(suffixes), b"\r\n", tail)) if suffixes else head + tail

    def insert(
        self,
        batch: int,
        checksum: int,
        ids: Sequence[bytes],
        payloads: Sequence[bytes],
        options: Sequence[TaskOptions] | None = None,
        *,
        made: bool = False,
    ) -> bytes:
        """Writes and pushes the tasks whose ids are free, and marks the batch. Reply: the skipped positions.

        Args:
            made: Whether the ids were made for this job. Then a hash with such an id, in a batch that is not marked, is
                left from a run with other options, and is replaced.
        """
        return self.insert_encoded(batch, checksum, self._encoder.insert_arguments(ids, payloads, options), made=made)

    def insert_encoded(
        self, batch: int, checksum: int, tasks: Sequence[bytes], *, made: bool, records: bytes = b""
    ) -> bytes:
        """Like ``insert``, with the tasks as ``QueueEncoder.insert_arguments``, and the records as for ``commit``."""
        arguments = [
            b"%d" % batch,
            checksum.to_bytes(4, "big") + records,
            b"%d" % time.time_ns(),
            b"1" if made else b"0",
        ]
        arguments += tasks
        if self._fenced:
            arguments.append(self.claim)
        return bulks(arguments, b"*%d\r\n%b" % (2 + self._key_count + len(arguments), self._insert_head))

    def touch(self, batch: int, checksum: int) -> bytes:
        """A write that changes nothing in the ledger of a batch that is in. Reply: a number."""
        return command(b"SETRANGE", self.checksums_key, b"%d" % (4 * batch), checksum.to_bytes(4, "big"))

    def is_loaded(self, batch: int) -> bytes:
        """The commands that ask whether a batch is in. Replies: 1 or 0; the skipped positions, or None."""
        number = b"%d" % batch
        return command(b"GETBIT", self.batches_key, number) + command(b"HGET", self.skipped_key, number)


def format_skipped(skipped: Mapping[int, Reason]) -> bytes:
    """Skipped positions with their reasons, in the format of the ledger, for example ``3,7t``.

    Raises:
        KeyError: The ledger has no letter for a reason.
    """
    return ",".join(f"{position}{_LETTERS[why.code]}" for position, why in skipped.items()).encode()


def parse_skipped(text: bytes) -> dict[int, Reason]:
    """Skipped positions with their reasons, from a reply or the ledger."""
    found = (re.fullmatch(r"([0-9]+)([a-z]*)", part) for part in text.decode().split(",") if part)
    return {int(match[1]): reason_of(match[2]) for match in found if match is not None}


def reason_of(letter: str) -> Reason:
    """Why a task is not placed, from its letter in a reply."""
    known = _REASONS.get(letter)
    return known or Reason(ReasonCode.UNKNOWN, f"{ReasonCode.UNKNOWN.meaning}, as {letter!r}")
