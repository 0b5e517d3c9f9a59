"""``Idempotency-Key``: the same key never enqueues twice, whatever happens between two requests with that key.

Keys in Redis, all with the time to live in the options:

- ``runqy-loader:idempotency:<digest of the key>``: the digest of the first request with that key. A different request
  with the same key is refused.
- ``<tag>:runqy-loader:idempotency:<digest of key and request>``, in the cluster slot of the queue's pending list: the
  first task id and the number of tasks. The script that pushes the tasks sets this mark. So the mark exists if and
  only if the tasks are in.

The header follows the IETF's draft "The Idempotency-Key HTTP Header Field", which asks for status 422 if a key is used
again with a different request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import hiredis

from loader.gateway.link import Link, wrong_type
from loader.gateway.new_ids import ids_from
from loader.gateway.push import Written
from loader.jobs.ledger_scripts import lost
from loader.layouts.base import QueueEncoder
from loader.layouts.lua import as_sent
from loader.wire.connection import Reply
from loader.wire.faults import from_reply
from loader.wire.resp import array, command

MAX_KEY = 255
"""The maximum length of a key in characters."""

_VALID = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

PUSH = b"""\
-- Pushes the ids of a request and sets its mark, unless the mark is set.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the mark
-- ARGV[1]: the mark's value
-- ARGV[2]: its time to live in seconds
-- ARGV[3]: the key of the hash that was written first, together with those of other requests
-- ARGV[4]: the key of the hash that was written last
-- ARGV[5] and on: the ids, the first to be consumed first
-- Reply: '' if the ids were pushed now, else the value of the existing mark
local earlier = redis.call('GET', KEYS[2])
if earlier then return earlier end
%b\
-- Redis does not undo a script in which a command fails. So LLEN finds a pending key of another type before anything is
-- written, and the push comes last: then only the mark has to be removed again (see loader/jobs/ledger_scripts.py).
redis.call('LLEN', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
local ok, fault = pcall(function()
  for i = 5, #ARGV, 5000 do redis.call('LPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 4999, #ARGV))) end
end)
if ok then return '' end
redis.pcall('DEL', KEYS[2])
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
""" % lost(3)
_PUSH = as_sent(PUSH)


class KeyReusedError(Exception):
    """The key was used before with a different request."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The key in Redis that the push of a request with an Idempotency-Key sets.

    Attributes:
        key: Its name.
        seconds: Its time to live.
    """

    key: bytes
    seconds: int

    def push(self, pending_key: bytes, ids: Sequence[bytes], written: Written) -> bytes:
        """The command that pushes the ids and sets the mark, unless it is set."""
        value = b"%b %d" % (ids[0], len(ids))
        return array([b"EVAL", _PUSH, b"2", pending_key, self.key, value, b"%d" % self.seconds, *written, *ids])

    def earlier(self, reply: Reply) -> list[bytes] | None:
        """The ids of the earlier request, from a reply to the push or to GET; None if the mark was not set before."""
        if not reply:
            return None
        first, _, count = bytes(reply).partition(b" ")
        return ids_from(first, int(count))


class IdempotencyKeys:
    """Remembers Idempotency-Keys.

    Args:
        seconds: How long a key is remembered.
    """

    def __init__(self, link: Link, seconds: int) -> None:
        self._link = link
        self._seconds = seconds

    async def claim(self, key: bytes, path: str, body: bytes, encoder: QueueEncoder) -> tuple[Mark, list[bytes] | None]:
        """Binds a key to a request. Returns the mark, and the ids that an earlier request with this key made, or None.

        Raises:
            ValueError: The key is not valid.
            KeyReusedError: The key was used before with a different request.
            WrongTypeError: A key in Redis for it is of another type.
            SinkError: Redis is not available, or refuses.
        """
        if not _VALID.fullmatch(key) or len(key) > MAX_KEY:
            raise ValueError(f"the Idempotency-Key must be 1 to {MAX_KEY} printable ASCII characters")
        # The digest is stored, not the body: the body may be large, and its content must not be kept.
        request = hashlib.sha256(path.encode() + b"\0" + body).hexdigest().encode()
        claim = b"runqy-loader:idempotency:" + hashlib.sha256(key).hexdigest().encode()
        digest = hashlib.sha256(key + b"\0" + request).hexdigest().encode()
        mark = Mark(b"%b:runqy-loader:idempotency:%b" % (encoder.slot_tag, digest), self._seconds)
        commands = (
            command(b"SET", claim, request, b"NX", b"EX", b"%d" % self._seconds),
            command(b"GET", claim),
            command(b"GET", mark.key),
        )
        replies = await self._link.call(b"".join(commands), replies=len(commands))
        for key_asked, reply in zip((claim, claim, mark.key), replies, strict=True):
            if (wrong := wrong_type(reply, key_asked.decode(errors="replace"), "a mark")) is not None:
                raise wrong
            if isinstance(reply, hiredis.ReplyError):
                error = from_reply(str(reply), "Redis, Idempotency-Key")
                self._link.leave_replica(error)
                raise error
        _, holder, earlier = replies
        if holder != request:
            raise KeyReusedError
        return mark, mark.earlier(earlier)
