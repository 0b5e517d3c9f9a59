"""The scripts that take tasks of a job out of a queue, whole.

Each looks for the ids where they may be now, and takes the id and everything else of the task in one step. So no
consumer gets a task of which a part is gone. Keys in other slots of a cluster cannot be deleted in this step. Their ids
are noted in it instead, and the keys are deleted after it: no consumer has these ids any more.

A queue's list has no command that removes elements by their positions. So a script sets those that it takes to a
marker, and removes the markers by one LREM from the nearer end. That looks at each element up to the last marker, but
no more often than once for each script.
"""

from __future__ import annotations

from dataclasses import dataclass

from loader.layouts.lua import lua_string
from loader.queues.asynq_keys import base_of
from loader.tasks.profiles import LayoutName

SLACK = 2000
"""How many elements others may push between two steps, without the second one having to look for its place."""

COMPARED = 5000
"""How many ids are compared before a copy replaces the queue: more than workers would give back at a time."""

_HEAD = b"""\
-- %(what)b
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the number of tasks of the job that were taken back from this queue
-- KEYS[3]: a list of ids of which keys in other slots are still to be deleted
%(arguments)b
%(forget)b
-- Takes the rest of tasks whose ids were taken. locks: their locks, where they are known ('' if not).
-- Returns the number of tasks: an id may be in the list twice, or no longer have a task.
local function settle(ids, locks)
  local tasks, seen = 0, {}
  for i = 1, #ids do
    if not seen[ids[i]] then tasks = tasks + forget(ids[i], locks and locks[i] or '') end
    seen[ids[i]] = true
  end
  if tasks > 0 then redis.call('INCRBY', KEYS[2], tasks) end
%(note)b\
  return tasks
end
"""

_NOTE = b"""\
  -- In slices: unpack() is limited by Lua's C stack (LUAI_MAXCSTACK, 8000 in Lua 5.1).
  for i = 1, #ids, 5000 do redis.call('RPUSH', KEYS[3], unpack(ids, i, math.min(i + 4999, #ids))) end
"""

_FORGET_NOTED = b"""\
-- Whether there is a task is not known here.
local function forget() return 1 end
"""

_FORGET_DOCUMENTED = b"""\
local function forget(id) return redis.call('DEL', 'asynq:t:' .. id) end
"""

_FORGET_ASYNQ = b"""\
-- The lock goes only if it is this task's (asynq 0.26, internal/rdb, deleteTaskCmd).
local function forget(id, lock)
  local key = %(tasks)b .. id
  if lock == '' then lock = redis.call('HGET', key, 'unique_key') or '' end
  if lock ~= '' and redis.call('GET', lock) == id then redis.call('DEL', lock) end
  local there = redis.call('DEL', key)
%(look_up)b\
  return there
end
"""

_LOOK_UP = b"""\
  -- In the documented layout, this is the key of a task.
  local reverse = 'asynq:t:' .. id
  if redis.call('HGET', reverse, 'queue') == %(queue)b and redis.call('HLEN', reverse) == 1 then
    redis.call('DEL', reverse)
  end
"""

_FIND = (
    b"""\
local from = math.max(position - 1, 0)
local window = redis.call('LRANGE', KEYS[1], from, from + count + %d)
-- Others push on the left, so elements only move to the right, unless somebody removes some on the left.
local start = 1
if position > 0 then
  while window[start] and window[start] ~= anchor do start = start + 1 end
  if not window[start] then return {-1, position, anchor, {}} end
  start = start + 1
  position = from + start - 1
end
"""
    % SLACK
)

_WALK_ARGUMENTS = b"""\
-- ARGV[1]: how many elements at the left end were looked at, and stay
-- ARGV[2]: the last of these; '' for none
-- ARGV[3]: how many elements after it the caller has looked at by now
-- ARGV[4]: the last of these; '' for none
-- ARGV[5]: how many of the following ones to return
-- ARGV[6]: a text that is no id
-- ARGV[7] and on: the ids to take among them
-- Reply: the number of tasks taken, new values for ARGV[1] and ARGV[2], and the following elements; or -1 if element
--        ARGV[2] is no longer near its place, and nothing is done"""

_WALK = b"""\
local position, anchor, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
%(find)b\
local wanted = {}
for i = 7, #ARGV do wanted[ARGV[i]] = true end
local stop
if ARGV[4] ~= '' then
  stop = start + count - 1
  while window[stop] and window[stop] ~= ARGV[4] do stop = stop + 1 end
end
local at, ids = {}, {}
for i = start, #window do
  if wanted[window[i]] then
    at[#at + 1] = from + i - 1
    ids[#ids + 1] = window[i]
  elseif stop and window[stop] and i <= stop then
    position, anchor = from + i - #at, window[i]
  end
end
if #at > 0 then
  local length = redis.call('LLEN', KEYS[1])
  local left, right = 0, 0
  while left < #at and at[left + 1] == left do left = left + 1 end
  while right < #at - left and at[#at - right] == length - 1 - right do right = right + 1 end
  local inner = #at - left - right
  for i = left + 1, left + inner do
    -- From the nearer end: a server before 7.0 goes from the one that the sign tells.
    redis.call('LSET', KEYS[1], at[i] * 2 < length and at[i] or at[i] - length, ARGV[6])
  end
  if inner > 0 then
    local is_left = at[left + inner] < length - at[left + 1]
    redis.call('LREM', KEYS[1], is_left and inner or -inner, ARGV[6])
  end
  if right > 0 then redis.call('LTRIM', KEYS[1], 0, -right - 1) end
  if left > 0 then redis.call('LTRIM', KEYS[1], left, -1) end
end
return {settle(ids), position, anchor, redis.call('LRANGE', KEYS[1], position, position + ARGV[5] - 1)}
""" % {b"find": _FIND}

COPY = b"""\
-- Copies a part of a queue: the ids that stay to one list, those of the job to another, each with its number.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: a list of the ids that stay
-- KEYS[3]: a list of the ids of the job, each as NUMBER:ID
-- ARGV[1]: where the last id that was copied may be, counted from 1; 0 for none
-- ARGV[2]: that id
-- ARGV[3]: how many ids were copied
-- ARGV[4]: how many of the following ones the caller has looked at
-- ARGV[5]: the last of these; '' for none
-- ARGV[6]: how many of the ones after these to return
-- ARGV[7] and on: those of them that are the job's
-- Reply: new values for ARGV[1] to ARGV[3], the following ids, and the first one that was copied now ('' if none was);
--        or -1 if the copy is no longer one of the queue
local position, anchor, copied, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('LLEN', KEYS[2]) + redis.call('LLEN', KEYS[3]) ~= copied then return {-1} end
%(find)b\
local first = ''
if ARGV[5] ~= '' then
  local stop = start + count - 1
  while window[stop] and window[stop] ~= ARGV[5] do stop = stop + 1 end
  -- Consumers have taken it: what the caller has looked at is not copied now, but looked at again.
  if window[stop] then
    local wanted, kept, taken = {}, {}, {}
    for i = 7, #ARGV do wanted[ARGV[i]] = true end
    for i = start, stop do
      if wanted[window[i]] then
        taken[#taken + 1] = (copied + i - start) .. ':' .. window[i]
      else
        kept[#kept + 1] = window[i]
      end
    end
    for i = 1, #kept, 5000 do redis.call('RPUSH', KEYS[2], unpack(kept, i, math.min(i + 4999, #kept))) end
    for i = 1, #taken, 5000 do redis.call('RPUSH', KEYS[3], unpack(taken, i, math.min(i + 4999, #taken))) end
    copied, first = copied + stop - start + 1, window[start]
    position, anchor = from + stop, window[stop]
  end
end
return {position, anchor, copied, redis.call('LRANGE', KEYS[1], position, position + ARGV[6] - 1), first}
""" % {b"find": _FIND}

SWAP = b"""\
-- Puts the ids that stay in the place of the queue, if these are still its ids. Meanwhile, others may have pushed on
-- the left, and consumers may have taken on the right.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: a list of the ids that stay
-- KEYS[3]: a list of the ids of the job, each as NUMBER:ID
-- KEYS[4]: the same list once they are taken
-- KEYS[5]: a key for the queue as it was, which is deleted
-- ARGV[1]: the first id that was copied
-- ARGV[2]: how many ids were copied
-- Reply: the number of ids taken; -1 if the copy is no longer one of the queue, and nothing is done
local first, copied = ARGV[1], tonumber(ARGV[2])
local kept, mine = redis.call('LLEN', KEYS[2]), redis.call('LLEN', KEYS[3])
if kept + mine ~= copied or redis.call('EXISTS', KEYS[4]) == 1 then return -1 end
local length = redis.call('LLEN', KEYS[1])
local pushed = redis.call('LPOS', KEYS[1], first)
if not pushed then return -1 end
local left = length - pushed
if left > copied then return -1 end
local function number(at) return tonumber(string.match(redis.call('LINDEX', KEYS[3], at), '^[0-9]+')) end
-- How many ids of the job consumers have not taken: those with a number below left.
local low, high = 0, mine
while low < high do
  local middle = math.floor((low + high) / 2)
  if number(middle) < left then low = middle + 1 else high = middle end
end
local stay = left - low
-- The ids at the right end must be the same, one by one. With their number, this shows that nobody has removed an id
-- elsewhere, and that no worker has given back tasks that it had taken.
local width = math.min(left, %(compared)d)
local queue = redis.call('LRANGE', KEYS[1], -width, -1)
local others = width > 0 and stay > 0 and redis.call('LRANGE', KEYS[2], math.max(stay - width, 0), stay - 1) or {}
local own = width > 0 and low > 0 and redis.call('LRANGE', KEYS[3], math.max(low - width, 0), low - 1) or {}
local i, j = #others, #own
for at = width, 1, -1 do
  local index, id = string.match(own[j] or '', '^([0-9]+):(.*)$')
  if tonumber(index) == left - width + at - 1 then
    j = j - 1
  else
    id = others[i]
    i = i - 1
  end
  if queue[at] ~= id then return -1 end
end
if low == 0 then return 0 end
if stay == 0 then redis.call('DEL', KEYS[2]) else redis.call('LTRIM', KEYS[2], 0, stay - 1) end
redis.call('LTRIM', KEYS[3], 0, low - 1)
for stop = pushed, 1, -5000 do
  local new, reverse = redis.call('LRANGE', KEYS[1], math.max(stop - 5000, 0), stop - 1), {}
  for at = #new, 1, -1 do reverse[#reverse + 1] = new[at] end
  redis.call('LPUSH', KEYS[2], unpack(reverse))
end
redis.call('RENAME', KEYS[1], KEYS[5])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[1]) end
redis.call('RENAME', KEYS[3], KEYS[4])
redis.call('UNLINK', KEYS[5])
return low
""" % {b"compared": COMPARED}

_DROP_ARGUMENTS = b"""\
-- KEYS[4]: a list of taken ids, each as NUMBER:ID
-- ARGV[1]: how many of them to drop
-- Reply: how many are left"""

_DROP = b"""\
local ids = redis.call('LRANGE', KEYS[4], 0, ARGV[1] - 1)
for i = 1, #ids do ids[i] = string.match(ids[i], '^[0-9]+:(.*)$') end
settle(ids)
redis.call('LTRIM', KEYS[4], #ids, -1)
return redis.call('LLEN', KEYS[4])
"""

_END_ARGUMENTS = b"""\
-- ARGV[1]: how many elements at the right end to return
-- ARGV[2] and on: the ids to take, if they are at the right end, one beside the other
-- Reply: the number of tasks taken, and the elements that are at the right end then"""

_END = b"""\
local wanted, ids = {}, {}
for i = 2, #ARGV do wanted[ARGV[i]] = true end
if #ARGV > 1 then
  local window = redis.call('LRANGE', KEYS[1], 1 - #ARGV, -1)
  for i = #window, 1, -1 do
    if not wanted[window[i]] then break end
    ids[#ids + 1] = window[i]
  end
  if #ids > 0 then redis.call('LTRIM', KEYS[1], 0, -#ids - 1) end
end
return {settle(ids), redis.call('LRANGE', KEYS[1], -ARGV[1], -1)}
"""

_SET_ARGUMENTS = b"""\
-- KEYS[4]: a sorted set of ids: the scheduled ones, or a group
-- KEYS[5]: the set of the names of groups
-- ARGV[1]: the name of the group; '' for the scheduled ones
-- ARGV[2] and on: the ids to take, each with its lock ('' if it is not known)
-- Reply: the number of tasks taken"""

_SET = b"""\
local ids, locks = {}, {}
for i = 2, #ARGV, 2 do
  if redis.call('ZREM', KEYS[4], ARGV[i]) == 1 then
    ids[#ids + 1] = ARGV[i]
    locks[#locks + 1] = ARGV[i + 1]
  end
end
if ARGV[1] ~= '' and redis.call('EXISTS', KEYS[4]) == 0 then redis.call('SREM', KEYS[5], ARGV[1]) end
return settle(ids, locks)
"""

TRY = b"""\
-- Runs each command that the other scripts run, on a key of its own. Redis does not undo a script in which a command
-- fails because of a missing right. So this comes first, before a marker could be left in a queue.
-- KEYS[1]: a key that does not exist
-- Reply: OK, or the error of the first command that is refused
local key = KEYS[1]
local calls = {
  {'RPUSH', key, 'a', 'b', 'c'}, {'LLEN', key}, {'LRANGE', key, 0, -1}, {'LSET', key, 0, 'm'}, {'LREM', key, 1, 'm'},
  {'LTRIM', key, 0, 0}, {'DEL', key}, {'INCRBY', key, 1}, {'GET', key}, {'DEL', key}, {'HGET', key, 'f'},
  {'HLEN', key}, {'EXISTS', key}, {'ZREM', key, 'm'}, {'SREM', key, 'm'}, {'LPOS', key, 'm'}, {'RPUSH', key, 'a'},
  {'RENAME', key, key}, {'UNLINK', key}
}
for i = 1, #calls do
  local reply = redis.pcall(unpack(calls[i]))
  if type(reply) == 'table' and reply.err then
    redis.pcall('DEL', key)
    return reply
  end
end
return redis.status_reply('OK')
"""


@dataclass(frozen=True, slots=True)
class TakingScripts:
    """The scripts for one queue.

    Attributes:
        walk: Takes ids out of the pending list, wherever they are.
        end: Takes ids from the end of the pending list from which consumers take.
        waiting: Takes ids out of the scheduled ones, or out of a group.
        notes: Whether ids are noted, because their tasks have keys in other slots.
        drop: Deletes the rest of tasks whose ids ``SWAP`` has taken.
        counts_tasks: Whether ids without a task are not counted. In a cluster, that cannot be told of documented ones.
    """

    walk: bytes
    end: bytes
    waiting: bytes
    notes: bool
    drop: bytes
    counts_tasks: bool


def taking_scripts(layout: LayoutName, queue: str, *, look_up: bool, cluster: bool) -> TakingScripts:
    """The scripts for a queue (its full name).

    Args:
        look_up: Whether its tasks have runqy's look-up.
        cluster: Whether it is in a cluster.
    """
    if layout == "documented":
        notes, forget = cluster, _FORGET_NOTED if cluster else _FORGET_DOCUMENTED
    else:
        notes, name = cluster and look_up, queue.encode()
        reverse = _LOOK_UP % {b"queue": lua_string(name)} if look_up and not cluster else b""
        forget = _FORGET_ASYNQ % {b"tasks": lua_string(base_of(queue) + b"t:"), b"look_up": reverse}

    def script(what: bytes, arguments: bytes, body: bytes) -> bytes:
        head = {b"what": what, b"arguments": arguments, b"forget": forget, b"note": _NOTE if notes else b""}
        return _HEAD % head + body

    return TakingScripts(
        script(b"Takes tasks out of the middle of a queue.", _WALK_ARGUMENTS, _WALK),
        script(b"Takes tasks from the end of a queue from which consumers take.", _END_ARGUMENTS, _END),
        script(b"Takes tasks that are scheduled, or wait in a group.", _SET_ARGUMENTS, _SET),
        notes,
        script(b"Deletes the rest of tasks whose ids were taken.", _DROP_ARGUMENTS, _DROP),
        layout == "asynq" or not cluster,
    )
