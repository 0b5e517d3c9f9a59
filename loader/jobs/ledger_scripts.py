"""The scripts that place a batch in a queue. Each writes, marks and pushes in one step, or does nothing.

Redis does not undo a script in which a command fails (because of a missing right, or a key of another type). So each
write adds what undoes it to ``undo``, and the mark and the push are the last two steps.
"""

from __future__ import annotations

from loader.layouts.base import QueueEncoder
from loader.layouts.lua import UNDO

# `place` writes the tasks, fills `ids` with the ids to push, and returns the skipped positions.
_FRAME = b"""\
%(head)b
%(known)b
-- This finds a pending key of another type before anything is written.
redis.call('LLEN', KEYS[1])
%(full)b\
-- undo: what undoes the writes: keys to delete, and commands. It is done in reverse order.
local ids, undo, skipped = {}, {}, ''

%(place)b
local ok, fault = pcall(function()
  skipped = place()
%(mark)b
  -- In slices: unpack() is limited by Lua's C stack (LUAI_MAXCSTACK, 8000 in Lua 5.1).
  for i = 1, #ids, 5000 do redis.call('LPUSH', KEYS[1], unpack(ids, i, math.min(i + 4999, #ids))) end
end)
if ok then return skipped end
%(undo)b
-- A table is the error reply of a command; anything else is a Lua error.
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
"""

REFUSED_IF_FULL = b"""\
-- A full server refuses a script at its first write, and never later. The DELs below count as writes, and are allowed.
-- So this comes first, which writes nothing and creates no key.
redis.call('SETRANGE', %b, 0, '')
"""
"""Lua with a string key in the script's slot."""

_LEDGER = b"""\
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the bitmap of the batches that are in
-- KEYS[3]: the CRC-32 of each batch, four bytes each
-- KEYS[4]: the hash from batch to skipped positions
-- KEYS[5]: the records of each batch, 24 bytes each (loader/jobs/records.py)
-- ARGV[1]: the number of the batch
-- ARGV[2]: the batch's CRC-32, four bytes; then, if they are known, its records"""

_SKIPPED = b"""\
-- Reply: the positions skipped, now or when the batch was marked; comma-separated, each with a letter for the reason
--        (loader/jobs/ledger.py)"""

_COMMIT_HEAD = b"""\
-- Pushes the ids of a batch whose hashes are written, and marks the batch. Does nothing if it is marked already.
%b
-- ARGV[3]: the skipped positions, as in the reply
-- ARGV[4]: the key of the hash that was written first; '', as the next one, if the hashes are on other servers
-- ARGV[5]: the key of the hash that was written last
-- ARGV[6] and on: the ids, the first to be consumed first
%b
""" % (_LEDGER, _SKIPPED)

_INSERT_HEAD = b"""\
-- Writes and pushes the tasks of a batch whose ids are free, and marks the batch. Does nothing if it is marked.
%b
-- ARGV[3]: the time in nanoseconds since 1970
-- ARGV[4]: 1 if the ids were made for this job: then a hash with such an id is left from an earlier run
-- ARGV[5] and on: each task's arguments, the first task to be consumed first
%b
""" % (_LEDGER, _SKIPPED)

_FENCE_HEAD = b"""\
-- KEYS[6]: which run of the shard may write: a hash (loader/jobs/claims.py)
-- The last argument: the claim of the run that writes. An older one than the newest is refused, with the error CLAIMED.
"""

_FENCE = b"""\
local claim = table.remove(ARGV)
local newest = redis.call('HGET', KEYS[6], 'claim')
if newest ~= claim then
  local function number(text) return tonumber(string.match(text, '^%d+')) end
  if newest and number(newest) >= number(claim) then
    return redis.error_reply('CLAIMED another run of this shard has the newer claim ' .. newest)
  end
  -- The server has lost it.
  redis.call('HSET', KEYS[6], 'claim', claim)
end
"""

_KNOWN = b"""\
if redis.call('GETBIT', KEYS[2], ARGV[1]) == 1 then return redis.call('HGET', KEYS[4], ARGV[1]) or '' end
"""

LOST = b"""\
-- A server may lose data without closing a connection: by FLUSHALL, or in a failover behind a proxy. What is lost then
-- includes the hash that was written first, or the one that was written last. A user without the right to read them
-- does without this: as KEYS, they would keep such a user from running the script at all.
if ARGV[%(first)d] ~= '' then
  local there = redis.pcall('EXISTS', ARGV[%(first)d], ARGV[%(last)d])
  if there == 0 or there == 1 then return redis.error_reply('LOST hashes of tasks that are to be pushed') end
end
"""
"""Lua that refuses to push ids whose hashes the server has lost, given the numbers of the arguments with their keys."""

_MARK = b"""\
  redis.call('SETRANGE', KEYS[3], ARGV[1] * 4, string.sub(ARGV[2], 1, 4))
  if #ARGV[2] > 4 then redis.call('SETRANGE', KEYS[5], ARGV[1] * 24, string.sub(ARGV[2], 5)) end
  if #skipped > 0 then redis.call('HSET', KEYS[4], ARGV[1], skipped) end
  undo[#undo + 1] = {'SETBIT', KEYS[2], ARGV[1], 0}
  redis.call('SETBIT', KEYS[2], ARGV[1], 1)"""

_PLACE_WRITTEN = b"""\
local function place()
  -- As many ids at once as unpack() can certainly take, the rest one by one.
  ids = {unpack(ARGV, 6, math.min(#ARGV, 4005))}
  for i = 4006, #ARGV do ids[#ids + 1] = ARGV[i] end
  return ARGV[3]
end
"""

_PLACE_FRESH = b"""\
%(write)b
local function place()
  local taken = {}
  for at = 5, #ARGV, %(width)d do
    local key = key_of(ARGV[at])
    local verdict = write(key, at, undo)
    if verdict == '' and ARGV[4] == '1' then
      local reply = redis.pcall('HGET', key, 'msg')
      if type(reply) == 'table' and string.find(reply.err, 'WRONGTYPE', 1, true) then
        -- Such a key is not the job's.
        verdict = 't'
      elseif type(reply) == 'table' then
        error(reply)
      else
        redis.call('DEL', key)
        verdict = write(key, at, undo)
      end
    end
    if verdict == true then ids[#ids + 1] = ARGV[at]
    elseif verdict then taken[#taken + 1] = (at - 5) / %(width)d .. verdict end
  end
  return table.concat(taken, ',')
end
"""


def commit_script(*, fenced: bool = False) -> bytes:
    """The script of ``QueueLedger.commit``. It is the same for every layout.

    Args:
        fenced: Whether the last argument is a claim, and an older one than the newest is refused.
    """
    head, known = (_COMMIT_HEAD + _FENCE_HEAD, _FENCE) if fenced else (_COMMIT_HEAD, b"")
    return placing_script(head, _PLACE_WRITTEN, _MARK, known=known + _KNOWN + lost(4))


def insert_script(encoder: QueueEncoder, *, fenced: bool = False) -> bytes:
    """The script of ``QueueLedger.insert``. ``fenced`` as for ``commit_script``."""
    place = _PLACE_FRESH % {b"write": encoder.insert_script, b"width": encoder.insert_width}
    head, known = (_INSERT_HEAD + _FENCE_HEAD, _FENCE) if fenced else (_INSERT_HEAD, b"")
    return placing_script(head, place, _MARK, known=known + _KNOWN, full=REFUSED_IF_FULL % b"KEYS[3]")


def lost(first: int) -> bytes:
    """``LOST`` for a script whose argument of this number, and the one after it, are the keys of the two hashes."""
    return LOST % {b"first": first, b"last": first + 1}


def placing_script(head: bytes, place: bytes, mark: bytes, *, known: bytes = b"", full: bytes = b"") -> bytes:
    """A script that writes tasks, marks them and pushes their ids, or does nothing. KEYS[1] is the pending list.

    Args:
        head: Comments on its keys, arguments and reply.
        place: Lua that defines ``place()``, which writes the tasks, fills ``ids`` with the ids to push, and returns the
            skipped positions. For each write, it adds what undoes it to ``undo``.
        mark: Lua that marks the placed tasks. It adds to ``undo`` as well.
        known: Lua that comes first, and returns if there is nothing to do.
        full: ``REFUSED_IF_FULL``, if a DEL is the first write.
    """
    return _FRAME % {b"head": head, b"known": known, b"full": full, b"place": place, b"mark": mark, b"undo": UNDO}
