-- Takes the oldest pending task (dequeueCmd), and reads since when it was pending.
-- KEYS[1]: the pending list
-- KEYS[2]: the key that exists while the queue is paused
-- KEYS[3]: the active list
-- KEYS[4]: the leases
-- ARGV[1]: Unix time at which the lease ends
-- ARGV[2]: what the keys of tasks begin with
-- Reply: its id, its message, since when it was pending; none if there is none
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[3])
if not id then return false end
local key = ARGV[2] .. id
redis.call('HSET', key, 'state', 'active')
local task = redis.call('HMGET', key, 'msg', 'pending_since')
redis.call('HDEL', key, 'pending_since')
redis.call('ZADD', KEYS[4], ARGV[1], id)
return {id, task[1], task[2]}
