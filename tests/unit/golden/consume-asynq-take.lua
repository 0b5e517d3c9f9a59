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
