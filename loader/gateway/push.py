"""The push of the ids of requests whose hashes are written."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from loader.gateway.link import Link
from loader.jobs.ledger_scripts import lost
from loader.layouts.lua import as_sent
from loader.wire.resp import array, command

log = logging.getLogger("runqy_loader")

Written = tuple[bytes, bytes]
"""The keys of the hashes that were written first and last. If the server has lost any, it has lost one of these."""

PUSH = b"""\
-- Pushes the ids of requests whose hashes are written.
-- KEYS[1]: the queue's pending list
-- ARGV[1]: the key of the hash that was written first
-- ARGV[2]: the key of the hash that was written last
-- ARGV[3] and on: the ids, the first to be consumed first
-- Reply: always 0
%b\
-- In slices: unpack() is limited by Lua's C stack. A pending key of another type is found before anything is pushed.
for i = 3, #ARGV, 5000 do redis.call('LPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 4999, #ARGV))) end
return 0
""" % lost(1)
_PUSH = as_sent(PUSH)


def push(pending_key: bytes, ids: Iterable[bytes], written: Written) -> bytes:
    """The command that pushes the ids; its reply is the error LOST if the server has lost hashes."""
    return array([b"EVAL", _PUSH, b"1", pending_key, *written, *ids])


async def can_look(link: Link) -> bool:
    """Whether the user may run scripts. If not, says that pushes cannot look.

    Raises:
        LoaderError: The connection is lost.
    """
    (reply,) = await link.call(command(b"EVAL", b"return 1", b"0"), replies=1)
    if reply != 1:
        log.warning(
            "no right to EVAL: if Redis loses data between the hashes of a request and its push, nothing shows it"
        )
    return bool(reply == 1)
