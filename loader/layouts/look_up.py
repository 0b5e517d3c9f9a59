"""Scripts for runqy's look-up ``asynq:t:<id>`` where it is in another slot of a cluster than its task.

The look-up is a hash with only the queue's name. In layout documented, a hash with this key is a task.
"""

from __future__ import annotations

DROP_LOOK_UP = b"""\
-- Deletes the look-up of a task that has left its queue.
-- KEYS[1]: the look-up; in the documented layout, this is the key of a task
-- ARGV[1]: the queue
-- Reply: 1 if it is deleted
if redis.call('HGET', KEYS[1], 'queue') ~= ARGV[1] or redis.call('HLEN', KEYS[1]) ~= 1 then return 0 end
return redis.call('DEL', KEYS[1])
"""

SET_LOOK_UP = b"""\
-- Writes the look-up of a task that is to be placed in a queue, unless the key is a task itself.
-- KEYS[1]: the look-up
-- ARGV[1]: the queue
-- Reply: 1 if there was none before
if redis.call('HEXISTS', KEYS[1], 'payload') == 1 then return 0 end
return redis.call('HSET', KEYS[1], 'queue', ARGV[1])
"""

TASK_TO_LOOK_UP = b"""\
-- Puts the look-up in the place of a task that has left layout documented.
-- KEYS[1]: the task
-- ARGV[1]: the queue in which it is now
-- Reply: a number
redis.call('DEL', KEYS[1])
return redis.call('HSET', KEYS[1], 'queue', ARGV[1])
"""
