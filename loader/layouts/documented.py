"""Layout ``documented``: the keys of runqy's enqueueing guide, section "Redis Key Format".

``asynq:t:<id>`` is a hash of five string fields, in the guide's order; ``asynq:<queue>:pending`` a list of ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from loader.task import ID_BYTES
from loader.wire.resp import bulk


class DocumentedEncoder:
    """See ``QueueEncoder``.

    Args:
        queue: Full name of the queue.
        task_type: Field ``type``.
        max_retry: Field ``max_retry``.
    """

    def __init__(self, queue: str, task_type: str, max_retry: int) -> None:
        name = queue.encode()
        self.pending_key = b"asynq:%b:pending" % name
        # The whole key is hashed where it has no braces, so the key as a tag lands in the key's own slot
        # (Redis Cluster specification, "Hash tags").
        self.slot_tag = b"{%b}" % self.pending_key
        fields = (bulk(task_type.encode()), bulk(b"%d" % max_retry), bulk(name))
        self._head = b"*12\r\n$4\r\nHSET\r\n$%d\r\nasynq:t:" % (len(b"asynq:t:") + ID_BYTES)
        self._type_and_payload = b"\r\n$4\r\ntype\r\n%b$7\r\npayload\r\n$" % fields[0]
        self._tail = b"\r\n$5\r\nretry\r\n$1\r\n0\r\n$9\r\nmax_retry\r\n%b$5\r\nqueue\r\n%b" % fields[1:]
        self._middles: dict[int, bytes] = {}
        self.insert_script = (
            b"local key = 'asynq:t:' .. id\n"
            b"if redis.call('EXISTS', key) == 1 then return false end\n"
            b"redis.call('HSET', key, 'type', %b, 'payload', payload, 'retry', '0', 'max_retry', '%d', 'queue', %b)\n"
            b"return true\n"
        ) % (lua_string(task_type.encode()), max_retry, lua_string(name))

    def task_key(self, task_id: bytes) -> bytes:
        return b"asynq:t:%b" % task_id

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        # Hot path: one list for the whole batch, filled by slices, and one join: about 60 ns a task of 110 bytes,
        # where formatting each task took 270 ns. Lengths repeat, so the piece that holds one is made once.
        middles = self._middles
        lengths = list(map(len, payloads))
        if not middles.keys() >= (distinct := set(lengths)):
            if len(middles) > 100_000:
                middles.clear()
            middles.update((length, b"%b%d\r\n" % (self._type_and_payload, length)) for length in distinct)
        head = self._head + id_prefix
        count = len(payloads)
        parts: list[bytes] = [self._tail + head] * (4 * count)
        parts[0::4] = suffixes
        parts[1::4] = map(middles.__getitem__, lengths)
        parts[2::4] = payloads
        parts[-1] = self._tail
        return head + b"".join(parts)


def lua_string(text: bytes) -> bytes:
    """A Lua literal for any bytes: every byte as a decimal escape (Lua 5.1 manual, 2.1)."""
    return b"'%b'" % b"".join(b"\\%03d" % byte for byte in text)
