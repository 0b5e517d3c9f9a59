"""The steps of a consumer of the enqueueing guide's keys as scripts, for a single server.

What a worker of runqy's did with these keys, before January 2026, command by command (runqy-worker,
``internal/redis/redis.go``): BRPOP, HGETALL, LPUSH into ``asynq:<queue>:active``, HSET ``state`` … As scripts, a task
is in one of the two lists at any time. What a script cannot finish, because the server refuses a step, it takes back: a
task that it has not taken is pending, and one that it has not ended is active.

The field ``runqy-loader-consumer`` says which consumer has taken a task, from TAKE until the task ends or is put back.
"""

from __future__ import annotations

from loader.layouts.lua import as_sent

OWNER = b"runqy-loader-consumer"
"""The field of a task that has the name of the consumer that has taken it."""

_RELEASED = b"""\
-- If the task is active: removes it from the active list, and has rest() move it. Returns 1; 0 if it is not active.
-- If anything is refused, the task is active as before.
local function released(active, id, rest)
  if redis.call('LREM', active, 1, id) == 0 then return 0 end
  local done, fault = pcall(rest)
  if done then return 1 end
  redis.call('LPUSH', active, id)
  error(fault, 0)
end
"""

TAKE = b"""\
-- Takes the oldest pending task. An id without a task is dropped.
-- KEYS[1]: the pending list
-- KEYS[2]: the active list
-- ARGV[1]: what the keys of tasks begin with
-- ARGV[2]: the consumer
-- ARGV[3]: the field that each task has; then the names of other fields to read
-- Reply: its id, then the fields; the id alone if it has no task; none if there is none
local id = redis.call('LINDEX', KEYS[1], -1)
if not id then return false end
local key = ARGV[1] .. id
local task = redis.pcall('HMGET', key, unpack(ARGV, 3))
if task.err and not string.find(task.err, 'WRONGTYPE', 1, true) then return task end
if task.err or not task[1] then
  redis.call('LREM', KEYS[1], -1, id)
  return {id}
end
local done, fault = pcall(function()
  redis.call('HSET', key, 'state', 'active', 'runqy-loader-consumer', ARGV[2])
  redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
end)
if not done then
  redis.pcall('HDEL', key, 'state', 'runqy-loader-consumer')
  error(fault, 0)
end
return {id, unpack(task)}
"""

DONE = b"".join(
    (
        b"""\
-- Ends a task that is done: deletes it, or keeps it with its result for a time.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- KEYS[3]: its result
-- ARGV[1]: its id
-- ARGV[2]: seconds to keep it; 0 to delete it
-- ARGV[3]: the result
-- Reply: 1; 0 if the task is no longer active
""",
        _RELEASED,
        b"""\
return released(KEYS[1], ARGV[1], function()
  if ARGV[2] == '0' then
    redis.call('DEL', KEYS[2])
  else
    redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[2])
    redis.call('HSET', KEYS[2], 'state', 'completed')
    redis.call('HDEL', KEYS[2], 'runqy-loader-consumer')
    redis.call('EXPIRE', KEYS[2], ARGV[2])
  end
end)
""",
    )
)

RETRY = b"".join(
    (
        b"""\
-- Makes a failed task pending again, behind all others.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- KEYS[3]: the pending list
-- ARGV[1]: its id
-- ARGV[2]: how often it has been retried, this time included
-- Reply: 1; 0 if the task is no longer active
""",
        _RELEASED,
        b"""\
return released(KEYS[1], ARGV[1], function()
  redis.call('HDEL', KEYS[2], 'runqy-loader-consumer')
  redis.call('HSET', KEYS[2], 'retry', ARGV[2], 'state', 'pending')
  redis.call('LPUSH', KEYS[3], ARGV[1])
end)
""",
    )
)

ARCHIVE = b"".join(
    (
        b"""\
-- Ends a task that has failed too often.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- ARGV[1]: its id
-- ARGV[2]: the error
-- Reply: 1; 0 if the task is no longer active
""",
        _RELEASED,
        b"""\
return released(KEYS[1], ARGV[1], function()
  redis.call('HDEL', KEYS[2], 'runqy-loader-consumer')
  redis.call('HSET', KEYS[2], 'state', 'archived', 'error_msg', ARGV[2])
end)
""",
    )
)

PUT_BACK = b"".join(
    (
        b"""\
-- Makes an active task the next pending one.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- KEYS[3]: the pending list
-- ARGV[1]: its id
-- Reply: 1; 0 if the task is no longer active
""",
        _RELEASED,
        b"""\
return released(KEYS[1], ARGV[1], function()
  redis.call('HDEL', KEYS[2], 'state', 'runqy-loader-consumer')
  redis.call('RPUSH', KEYS[3], ARGV[1])
end)
""",
    )
)

REGISTER = b"""\
-- Adds a worker to the set of workers. A set of synthetic workers alone ends with them: nobody else would end it, and
-- asynq's servers, which keep a sorted set under this key, could not register.
-- KEYS[1]: the set of workers
-- ARGV[1]: the worker
-- ARGV[2]: seconds after which its registration ends
-- ARGV[3]: what the names of synthetic workers have in them
-- Reply: 1
redis.call('SADD', KEYS[1], ARGV[1])
for _, member in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if not string.find(member, ARGV[3], 1, true) then
    redis.call('PERSIST', KEYS[1])
    return 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""

ALL = {
    "take": TAKE,
    "done": DONE,
    "retry": RETRY,
    "archive": ARCHIVE,
    "put-back": PUT_BACK,
    "register": REGISTER,
}
SENT = {name: as_sent(script) for name, script in ALL.items()}
"""The scripts as they are sent."""
