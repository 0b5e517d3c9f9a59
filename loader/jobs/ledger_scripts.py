"""The scripts that place a batch in a queue: each writes, marks and pushes in one step, or does none of it.

A script is not undone where a command of it fails, for want of a right or as a key is of another type. So every step
that could fail leaves behind how to take it back, and the mark and the push are the last two.
"""

from __future__ import annotations

from loader.layouts.base import QueueEncoder

# `place` writes the tasks, fills `ids` with those to be pushed, and returns the positions skipped.
_FRAME = b"""\
%(head)b
%(known)b
-- Tells a pending key of another type before anything is written.
redis.call('LLEN', KEYS[1])
-- undo: commands that take back what is written, the last one first.
local ids, undo, skipped = {}, {}, ''

%(place)b
local ok, fault = pcall(function()
  skipped = place()
%(mark)b
  -- In slices: unpack() is limited by Lua's C stack (LUAI_MAXCSTACK, 8000 in Lua 5.1).
  for i = 1, #ids, 5000 do redis.call('LPUSH', KEYS[1], unpack(ids, i, math.min(i + 4999, #ids))) end
end)
if ok then return skipped end
for i = #undo, 1, -1 do redis.pcall(unpack(undo[i])) end
-- A table is the error reply of a command, anything else an error of Lua.
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
"""

_LEDGER = b"""\
-- KEYS[1]: the queue's pending list
-- KEYS[2]: bitmap of the batches that are in
-- KEYS[3]: CRC-32 of each batch, four bytes each
-- KEYS[4]: hash from batch to the positions that were skipped
-- ARGV[1]: number of the batch
-- ARGV[2]: its CRC-32, four bytes"""

_SKIPPED = b"""\
-- Reply: the positions skipped, now or when the batch was marked; comma-separated, each with a letter that says why
--        (loader/jobs/ledger.py)"""

_COMMIT_HEAD = b"""\
-- Pushes the ids of a batch whose hashes are written, and marks the batch. Does nothing where it is marked already.
%b
-- ARGV[3]: positions skipped, as in the reply
-- ARGV[4] and on: ids, the first to be consumed first
%b
""" % (_LEDGER, _SKIPPED)

_INSERT_HEAD = b"""\
-- Writes and pushes the tasks of a batch whose ids are free, and marks the batch. Does nothing where it is marked.
%b
-- ARGV[3]: the time in nanoseconds since 1970
-- ARGV[4] and on: each task's arguments, the first task to be consumed first
%b
""" % (_LEDGER, _SKIPPED)

_KNOWN = b"""\
if redis.call('GETBIT', KEYS[2], ARGV[1]) == 1 then return redis.call('HGET', KEYS[4], ARGV[1]) or '' end
"""

_MARK = b"""\
  redis.call('SETRANGE', KEYS[3], ARGV[1] * 4, ARGV[2])
  if #skipped > 0 then redis.call('HSET', KEYS[4], ARGV[1], skipped) end
  undo[#undo + 1] = {'SETBIT', KEYS[2], ARGV[1], 0}
  redis.call('SETBIT', KEYS[2], ARGV[1], 1)"""

_PLACE_WRITTEN = b"""\
local function place()
  -- As many at once as unpack() takes for certain, the rest one by one.
  ids = {unpack(ARGV, 4, math.min(#ARGV, 4003))}
  for i = 4004, #ARGV do ids[#ids + 1] = ARGV[i] end
  return ARGV[3]
end
"""

_PLACE_FRESH = b"""\
%(write)b
local function place()
  local taken = {}
  for at = 4, #ARGV, %(width)d do
    local key, verdict = key_of(ARGV[at]), ''
    if redis.call('EXISTS', key) == 0 then
      -- This DEL finds nothing. It shows, while nothing is written, that what follows may be undone.
      if #undo == 0 then redis.call('DEL', key) end
      undo[#undo + 1] = {'DEL', key}
      verdict = write(key, at, undo)
    end
    if verdict == true then ids[#ids + 1] = ARGV[at]
    elseif verdict then taken[#taken + 1] = (at - 4) / %(width)d .. verdict end
  end
  return table.concat(taken, ',')
end
"""


def commit_script() -> bytes:
    """The script behind ``QueueLedger.commit``; it is the same for every layout."""
    return placing_script(_COMMIT_HEAD, _PLACE_WRITTEN, _MARK, known=_KNOWN)


def insert_script(encoder: QueueEncoder) -> bytes:
    """The script behind ``QueueLedger.insert``."""
    place = _PLACE_FRESH % {b"write": encoder.insert_script, b"width": encoder.insert_width}
    return placing_script(_INSERT_HEAD, place, _MARK, known=_KNOWN)


def placing_script(head: bytes, place: bytes, mark: bytes, *, known: bytes = b"") -> bytes:
    """A script that writes tasks, marks them and pushes their ids, or does none of it; KEYS[1] is the pending list.

    Args:
        head: Comments that tell its keys, arguments and reply.
        place: Lua that defines ``place()``, which writes the tasks, fills ``ids`` with those to be pushed, and returns
            the positions skipped. Of what it writes, it adds to ``undo`` how to take it back.
        mark: Lua that notes what was placed, likewise.
        known: Lua that comes first, and returns where there is nothing to do.
    """
    return _FRAME % {b"head": head, b"known": known, b"place": place, b"mark": mark}
