"""Lua for the server: literals, and the bytes that are sent.

Scripts are written with comments, for readers. The golden files in ``tests/unit/golden/`` have the complete script of
each layout.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from functools import lru_cache

_PLAIN = frozenset((string.ascii_letters + string.digits + ":{}._-/@").encode())
_LITERALS = [b"%c" % byte if byte in _PLAIN else b"\\%03d" % byte for byte in range(256)]

FURTHER = b"""\
-- Writes further fields of a task's hash, each name and value after its length, as in 5:state7:pending.
local function write_further(key, text)
  local parts, at = {}, 1
  while at <= #text do
    local colon = string.find(text, ':', at, true)
    local stop = colon + tonumber(string.sub(text, at, colon - 1))
    parts[#parts + 1] = string.sub(text, colon + 1, stop)
    at = stop + 1
  end
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
  undo[#undo + 1] = key
  return true
end
"""
"""Lua that layouts put before their ``write``."""

UNDO = b"""\
for i = #undo, 1, -1 do
  if type(undo[i]) == 'string' then redis.pcall('DEL', undo[i]) else redis.pcall(unpack(undo[i])) end
end"""
"""Lua that undoes what scripts have written, in reverse order: ``undo`` has keys to delete, and commands."""


def further(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Names and values of further fields as ``FURTHER`` reads them: any bytes, and empty for no fields."""
    return b"".join(b"%d:%b" % (len(part), part) for field in fields for part in field)


def lua_string(text: bytes) -> bytes:
    """A Lua literal for any bytes: what is not plain is a decimal escape (Lua 5.1 manual, 2.1)."""
    return b"'%b'" % b"".join(map(_LITERALS.__getitem__, text))


@lru_cache(maxsize=128)
def as_sent(script: bytes) -> bytes:
    """A script without comments and indentation, as it goes out with every batch.

    Line breaks stay, so that a line number in a server's error is that of the whole text.

    Args:
        script: Its comments are on lines of their own, and no string literal has a line break.
    """
    lines = (line.strip() for line in script.strip(b"\n").split(b"\n"))
    return b"\n".join(b"" if line.startswith(b"--") else line for line in lines)
