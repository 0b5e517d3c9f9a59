"""The push of the ids of requests whose hashes are written."""

from __future__ import annotations

from collections.abc import Iterable

from loader.jobs.ledger_scripts import lost
from loader.layouts.lua import as_sent
from loader.wire.resp import array

Written = tuple[bytes, bytes]
"""The keys of the hashes that were written first and last. If the server has lost any, it has lost one of these."""

PUSH = b"""\
-- Pushes the ids of requests whose hashes are written.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the hash that was written first
-- KEYS[3]: the hash that was written last
-- ARGV: the ids, the first to be consumed first
-- Reply: always 0
%b\
-- In slices: unpack() is limited by Lua's C stack. A pending key of another type is found before anything is pushed.
for i = 1, #ARGV, 5000 do redis.call('LPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 4999, #ARGV))) end
return 0
""" % lost(1)
_PUSH = as_sent(PUSH)


def push(pending_key: bytes, ids: Iterable[bytes], written: Written) -> bytes:
    """The command that pushes the ids; its reply is the error LOST if the server has lost hashes."""
    return array([b"EVAL", _PUSH, b"3", pending_key, *written, *ids])
