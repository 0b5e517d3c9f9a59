"""Which batches of a job are in: one bit a batch, set by the same server-side step that pushes the batch's ids.

The input is cut into shards, and each shard has a ledger for each queue that its tasks go to.

Keys, all in the cluster slot of the queue's pending list:

- ``<tag>:runqy-loader:<job>:<shard>:batches``: a bitmap; bit k is set once batch k is pushed.
- ``<tag>:runqy-loader:<job>:<shard>:checksums``: CRC-32 of each batch, four bytes each, so that a resume notices other
  input.
- ``<tag>:runqy-loader:<job>:<shard>:skipped``: a hash from batch to the positions (comma-separated) that were not
  loaded, because their key or id was taken. Missing where that never happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loader.layouts.base import QueueEncoder
from loader.task import ID_BYTES
from loader.wire.resp import bulk, command

# A script is not undone where a command of it fails. So what may fail comes first, and a push that fails takes its mark
# back: a right that is missing, or a key of another type, leaves neither a mark without a push nor the reverse.
# Lua's unpack() is limited by its C stack (LUAI_MAXCSTACK, 8000 in Lua 5.1), hence the slices.
_PUSH_AND_MARK = b"""
redis.call('SETRANGE', KEYS[3], ARGV[1] * 4, ARGV[2])
if #skipped > 0 then redis.call('HSET', KEYS[4], ARGV[1], skipped) end
redis.call('SETBIT', KEYS[2], ARGV[1], 1)
for i = 1, #ids, 5000 do
  local pushed = redis.pcall('LPUSH', KEYS[1], unpack(ids, i, math.min(i + 4999, #ids)))
  if type(pushed) == 'table' and pushed.err then
    redis.call('SETBIT', KEYS[2], ARGV[1], 0)
    return pushed
  end
end
"""

# ARGV: batch, checksum, skipped positions, then the ids, the first to be consumed first. 1: pushed; 0: was in already.
_COMMIT = (
    b"""
if redis.call('GETBIT', KEYS[2], ARGV[1]) == 1 then return 0 end
redis.call('LLEN', KEYS[1])
local skipped = ARGV[3]
local ids = {unpack(ARGV, 4, math.min(#ARGV, 4003))}
for i = 4004, #ARGV do ids[#ids + 1] = ARGV[i] end
"""
    + _PUSH_AND_MARK
    + b"return 1"
)

# ARGV: batch, checksum, then id and payload of each task. Returns the skipped positions. LLEN fails on a key of another
# type before anything is written.
_INSERT = (
    b"""
local function insert(id, payload)
%b
end
if redis.call('GETBIT', KEYS[2], ARGV[1]) == 1 then
  return redis.call('HGET', KEYS[4], ARGV[1]) or ''
end
redis.call('LLEN', KEYS[1])
local ids, taken = {}, {}
for i = 3, #ARGV, 2 do
  if insert(ARGV[i], ARGV[i + 1]) then ids[#ids + 1] = ARGV[i] else taken[#taken + 1] = (i - 3) / 2 end
end
local skipped = table.concat(taken, ',')
"""
    + _PUSH_AND_MARK
    + b"return skipped"
)


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What the ledger held when a run began."""

    batches: bytes = b""
    checksums: bytes = b""
    skipped: dict[int, list[int]] = field(default_factory=dict)

    def is_loaded(self, batch: int) -> bool:
        byte, bit = divmod(batch, 8)
        return byte < len(self.batches) and bool(self.batches[byte] >> (7 - bit) & 1)

    def checksum(self, batch: int) -> int:
        return int.from_bytes(self.checksums[4 * batch : 4 * batch + 4], "big")


class QueueLedger:
    """Builds the commands that commit batches of one shard of a job to one queue."""

    def __init__(self, job: str, encoder: QueueEncoder, shard: int = 0) -> None:
        base = b"%b:runqy-loader:%b:%d" % (encoder.slot_tag, job.encode(), shard)
        self.batches_key = base + b":batches"
        self.checksums_key = base + b":checksums"
        self.skipped_key = base + b":skipped"
        keys = (encoder.pending_key, self.batches_key, self.checksums_key, self.skipped_key)
        self._keys = b"".join(map(bulk, (b"%d" % len(keys), *keys)))
        self._key_count = len(keys) + 1
        # EVAL with the whole script, not EVALSHA: half a kilobyte a batch, and no NOSCRIPT after a failover.
        self._commit_head = b"$4\r\nEVAL\r\n" + bulk(_COMMIT) + self._keys
        self._insert_head = b"$4\r\nEVAL\r\n" + bulk(_INSERT % encoder.insert_script) + self._keys

    def commit(
        self, batch: int, checksum: int, id_prefix: bytes, suffixes: Sequence[bytes], skipped: Sequence[int] = ()
    ) -> bytes:
        """Pushes ids whose hashes are written, and marks the batch. Reply: 1, or 0 if it was marked already."""
        # Hot path: one join; the part between two suffixes is constant within a source.
        between = b"\r\n$%d\r\n%b" % (ID_BYTES, id_prefix)
        positions = ",".join(map(str, skipped)).encode()
        head = b"*%d\r\n%b%b%b%b" % (
            2 + self._key_count + 3 + len(suffixes),
            self._commit_head,
            bulk(b"%d" % batch),
            bulk(checksum.to_bytes(4, "big")),
            bulk(positions),
        )
        ids = between.join((b"", *suffixes))[2:] + b"\r\n" if suffixes else b""
        return head + ids

    def insert(self, batch: int, checksum: int, ids: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        """Writes and pushes the tasks whose ids are free, and marks the batch. Reply: the skipped positions."""
        arguments = [b"%d" % batch, checksum.to_bytes(4, "big")]
        for task_id, payload in zip(ids, payloads, strict=True):
            arguments += (task_id, payload)
        parts = [b"*%d\r\n" % (2 + self._key_count + len(arguments)), self._insert_head, *map(bulk, arguments)]
        return b"".join(parts)

    def is_loaded(self, batch: int) -> bytes:
        """Asks whether a batch is in. Reply: 1 or 0."""
        return command(b"GETBIT", self.batches_key, b"%d" % batch)
