"""The steps of asynq's server as scripts. Each has the same effects as asynq's own (0.26, ``internal/rdb/rdb.go``).

One task is one call of a script, as with asynq's server, so the work of Redis is what real consumers would cause.
``tests/unit/golden`` has the scripts whole.

A script whose last steps the server refuses (a right is missing, a key has another type) takes its first ones back: a
task that it has not taken is pending, and one that it has not ended is active with its lease.
"""

from __future__ import annotations

from loader.layouts.lua import as_sent

_COUNT = b"""\
-- Counts one more task of the day, and of all days. A total at the end of its range begins anew.
local function count(day, total, expires, most)
  if redis.call('INCR', day) == 1 then redis.call('EXPIREAT', day, expires) end
  if tonumber(redis.call('GET', total) or 0) == tonumber(most) then
    redis.call('SET', total, 1)
  else
    redis.call('INCR', total)
  end
end
"""

_RELEASED = b"""\
-- If the task is active and has a lease: ends both, and has rest() move the task. Returns 1; 0 if it has not.
-- If anything is refused, the task is active as before, and not in the sorted set target.
local function released(active, lease, id, rest, target)
  local score = redis.call('ZSCORE', lease, id)
  if not score then return 0 end
  local removed = 0
  local done, fault = pcall(function()
    redis.call('ZREM', lease, id)
    removed = redis.call('LREM', active, 1, id)
    if removed > 0 then rest() end
  end)
  if done and removed > 0 then return 1 end
  redis.call('ZADD', lease, score, id)
  if removed > 0 then redis.call('LPUSH', active, id) end
  if done then return 0 end
  if target then redis.pcall('ZREM', target, id) end
  error(fault, 0)
end
"""

_UNLOCK = b"""\
-- Releases a uniqueness lock that the task holds.
local function unlock(key, id)
  if key and redis.call('GET', key) == id then redis.call('DEL', key) end
end
"""

_ENDING = b"""\
-- KEYS[1]: the active list
-- KEYS[2]: the leases
-- KEYS[3]: the task
-- KEYS[4]: the day's counter of executions
-- KEYS[5]: the counter of executions
"""
_FAILING = b"""\
-- KEYS[6]: the day's counter of failures
-- KEYS[7]: the counter of failures
"""
_COUNTED = b"""\
-- ARGV[1]: its id
-- ARGV[2]: Unix time at which the day's counters end
-- ARGV[3]: the largest value of a counter
"""
_REPLY = b"-- Reply: 1; 0 if the task is no longer active\n"

TAKE = b"""\
-- Takes the oldest pending task (dequeueCmd), and reads since when it was pending.
-- KEYS[1]: the pending list
-- KEYS[2]: the key that exists while the queue is paused
-- KEYS[3]: the active list
-- KEYS[4]: the leases
-- ARGV[1]: Unix time at which the lease ends
-- ARGV[2]: what the keys of tasks begin with
-- Reply: its id, its message, since when it was pending; none if there is none
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local id = redis.call('LINDEX', KEYS[1], -1)
if not id then return false end
local key = ARGV[2] .. id
local task = redis.call('HMGET', key, 'msg', 'pending_since')
local done, fault = pcall(function()
  redis.call('HSET', key, 'state', 'active')
  redis.call('HDEL', key, 'pending_since')
  redis.call('ZADD', KEYS[4], ARGV[1], id)
  redis.call('RPOPLPUSH', KEYS[1], KEYS[3])
end)
if not done then
  redis.pcall('ZREM', KEYS[4], id)
  if task[1] then redis.pcall('HSET', key, 'state', 'pending') end
  if task[2] then redis.pcall('HSET', key, 'pending_since', task[2]) end
  error(fault, 0)
end
return {id, task[1], task[2]}
"""

DONE = b"".join(
    (
        b"-- Deletes a task that is done (doneCmd, doneUniqueCmd).\n",
        _ENDING,
        b"-- KEYS[6]: its lock, if it has one\n",
        _COUNTED,
        _REPLY,
        _COUNT,
        _RELEASED,
        _UNLOCK,
        b"""\
local deleted = 0
released(KEYS[1], KEYS[2], ARGV[1], function() deleted = redis.call('DEL', KEYS[3]) end)
if deleted == 0 then return 0 end
count(KEYS[4], KEYS[5], ARGV[2], ARGV[3])
unlock(KEYS[6], ARGV[1])
return 1
""",
    )
)

COMPLETE = b"".join(
    (
        b"-- Keeps a task that is done for its retention (markAsCompleteCmd, markAsCompleteUniqueCmd).\n",
        _ENDING,
        b"-- KEYS[6]: the completed tasks\n",
        b"-- KEYS[7]: its lock, if it has one\n",
        _COUNTED,
        b"-- ARGV[4]: Unix time at which the retention ends\n",
        b"-- ARGV[5]: its message\n",
        _REPLY,
        _COUNT,
        _RELEASED,
        _UNLOCK,
        b"""\
local function keep()
  redis.call('ZADD', KEYS[6], ARGV[4], ARGV[1])
  redis.call('HSET', KEYS[3], 'msg', ARGV[5], 'state', 'completed')
end
if released(KEYS[1], KEYS[2], ARGV[1], keep, KEYS[6]) == 0 then return 0 end
count(KEYS[4], KEYS[5], ARGV[2], ARGV[3])
unlock(KEYS[7], ARGV[1])
return 1
""",
    )
)

RETRY = b"".join(
    (
        b"-- Has a failed task wait for its retry (retryCmd).\n",
        _ENDING,
        _FAILING,
        b"-- KEYS[8]: the tasks that wait for their retry\n",
        _COUNTED,
        b"-- ARGV[4]: Unix time of the retry\n",
        b"-- ARGV[5]: its message\n",
        _REPLY,
        _COUNT,
        _RELEASED,
        b"""\
local function wait()
  redis.call('ZADD', KEYS[8], ARGV[4], ARGV[1])
  redis.call('HSET', KEYS[3], 'msg', ARGV[5], 'state', 'retry')
end
if released(KEYS[1], KEYS[2], ARGV[1], wait, KEYS[8]) == 0 then return 0 end
count(KEYS[4], KEYS[5], ARGV[2], ARGV[3])
count(KEYS[6], KEYS[7], ARGV[2], ARGV[3])
return 1
""",
    )
)

ARCHIVE = b"".join(
    (
        b"-- Archives a task that has failed too often, and trims the archive (archiveCmd).\n",
        _ENDING,
        _FAILING,
        b"-- KEYS[8]: the archived tasks\n",
        _COUNTED,
        b"-- ARGV[4]: Unix time\n",
        b"-- ARGV[5]: its message\n",
        b"-- ARGV[6]: Unix time; tasks that were archived before it are deleted\n",
        b"-- ARGV[7]: the number of archived tasks at which the oldest ones are deleted\n",
        b"-- ARGV[8]: what the keys of tasks begin with\n",
        _REPLY,
        _COUNT,
        _RELEASED,
        b"""\
local function archive()
  redis.call('ZADD', KEYS[8], ARGV[4], ARGV[1])
  redis.call('HSET', KEYS[3], 'msg', ARGV[5], 'state', 'archived')
end
if released(KEYS[1], KEYS[2], ARGV[1], archive, KEYS[8]) == 0 then return 0 end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[8], '-inf', ARGV[6])) do redis.call('DEL', ARGV[8] .. id) end
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', ARGV[6])
for _, id in ipairs(redis.call('ZRANGE', KEYS[8], 0, -ARGV[7])) do redis.call('DEL', ARGV[8] .. id) end
redis.call('ZREMRANGEBYRANK', KEYS[8], 0, -ARGV[7])
count(KEYS[4], KEYS[5], ARGV[2], ARGV[3])
count(KEYS[6], KEYS[7], ARGV[2], ARGV[3])
return 1
""",
    )
)

PUT_BACK = b"".join(
    (
        b"""\
-- Makes an active task the next pending one (requeueCmd).
-- KEYS[1]: the active list
-- KEYS[2]: the leases
-- KEYS[3]: the pending list
-- KEYS[4]: the task
-- ARGV[1]: its id
""",
        _REPLY,
        _RELEASED,
        b"""\
return released(KEYS[1], KEYS[2], ARGV[1], function()
  redis.call('HSET', KEYS[4], 'state', 'pending')
  redis.call('RPUSH', KEYS[3], ARGV[1])
end)
""",
    )
)

FORWARD = b"""\
-- Makes tasks pending whose time has come, or has them wait in their group (forwardCmd): at most 100.
-- KEYS[1]: the tasks that are scheduled, or wait for their retry
-- KEYS[2]: the pending list
-- ARGV[1]: Unix time
-- ARGV[2]: what the keys of tasks begin with
-- ARGV[3]: Unix time in nanoseconds
-- ARGV[4]: what the keys of groups begin with
-- Reply: the number of tasks
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(ids) do
  local key = ARGV[2] .. id
  local group = redis.call('HGET', key, 'group')
  redis.call('ZREM', KEYS[1], id)
  if group and group ~= '' then
    redis.call('ZADD', ARGV[4] .. group, ARGV[1], id)
    redis.call('HSET', key, 'state', 'aggregating')
  else
    redis.call('LPUSH', KEYS[2], id)
    redis.call('HSET', key, 'state', 'pending', 'pending_since', ARGV[3])
  end
end
return #ids
"""

CLEAN = b"""\
-- Deletes completed tasks whose retention is over (deleteExpiredCompletedTasksCmd): at most 100.
-- KEYS[1]: the completed tasks
-- ARGV[1]: Unix time
-- ARGV[2]: what the keys of tasks begin with
-- Reply: the number of tasks
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(ids) do
  redis.call('DEL', ARGV[2] .. id)
  redis.call('ZREM', KEYS[1], id)
end
return #ids
"""

EXPIRED = b"""\
-- Finds active tasks whose lease has ended (listLeaseExpiredCmd).
-- KEYS[1]: the leases
-- ARGV[1]: Unix time before which it has ended
-- ARGV[2]: what the keys of tasks begin with
-- Reply: ids and messages in turn
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])) do
  local message = redis.call('HGET', ARGV[2] .. id, 'msg')
  if message then
    found[#found + 1] = id
    found[#found + 1] = message
  end
end
return found
"""

REGISTER = b"""\
-- Writes what a server does (writeServerStateCmd).
-- KEYS[1]: the server
-- KEYS[2]: its tasks in service
-- ARGV[1]: seconds after which both end
-- ARGV[2]: the server; then id and description of each task in service
-- Reply: 1
redis.call('SETEX', KEYS[1], ARGV[1], ARGV[2])
redis.call('DEL', KEYS[2])
for i = 3, #ARGV - 1, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
"""

ALL = {
    "take": TAKE,
    "done": DONE,
    "complete": COMPLETE,
    "retry": RETRY,
    "archive": ARCHIVE,
    "put-back": PUT_BACK,
    "forward": FORWARD,
    "clean": CLEAN,
    "expired": EXPIRED,
    "register": REGISTER,
}
SENT = {name: as_sent(script) for name, script in ALL.items()}
"""The scripts as they are sent."""
