"""Lua for the server: literals, and the bytes that are sent.

Scripts are written with comments, for readers. The golden files in ``tests/unit/golden/`` have the complete script of
each layout.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from itertools import chain

_PLAIN = frozenset((string.ascii_letters + string.digits + ":{}._-/@").encode())
_LITERALS = [b"%c" % byte if byte in _PLAIN else b"\\%03d" % byte for byte in range(256)]

FURTHER = b"""\
-- The parts of a text, each after its length, as in 5:state7:pending.
local function parts_of(text)
  local parts, at = {}, 1
  while at <= #text do
    local colon = string.find(text, ':', at, true)
    local stop = colon + tonumber(string.sub(text, at, colon - 1))
    parts[#parts + 1] = string.sub(text, colon + 1, stop)
    at = stop + 1
  end
  return parts
end
-- Writes further fields of a task's hash.
local function write_further(key, text)
  local parts = parts_of(text)
  for i = 1, #parts, 2 do redis.call('HSET', key, parts[i], parts[i + 1]) end
end
"""
"""Lua that layouts put before their ``write``. ``further`` makes the text."""

IS_FREE = b"""\
-- Whether a key is free. If it is, what takes back the task deletes it.
local function is_free(key, undo)
  if redis.call('EXISTS', key) == 1 then return false end
  -- This DEL deletes nothing. It fails, before anything is written, if the user has no right to undo.
  if #undo == 0 then redis.call('DEL', key) end
  undo[#undo + 1] = {'DEL', key}
  return true
end
"""
"""Lua that layouts put before their ``write``."""


def further(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Names and values of further fields as ``FURTHER`` reads them: any bytes, and empty for no fields."""
    return in_parts(chain.from_iterable(fields))


def in_parts(parts: Iterable[bytes]) -> bytes:
    """The text of which the parts are these, see ``FURTHER``."""
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


def lua_string(text: bytes) -> bytes:
    """A Lua literal for any bytes: what is not plain is a decimal escape (Lua 5.1 manual, 2.1)."""
    return b"'%b'" % b"".join(map(_LITERALS.__getitem__, text))


def as_sent(script: bytes) -> bytes:
    """A script without comments and indentation, as it goes out with every batch.

    Line breaks stay, so that a line number in a server's error is that of the whole text.

    Args:
        script: Its comments are on lines of their own, and no string literal has a line break.
    """
    lines = (line.strip() for line in script.strip(b"\n").split(b"\n"))
    return b"\n".join(b"" if line.startswith(b"--") else line for line in lines)
