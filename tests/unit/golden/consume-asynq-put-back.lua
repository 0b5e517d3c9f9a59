-- Makes an active task the next pending one (requeueCmd).
-- KEYS[1]: the active list
-- KEYS[2]: the leases
-- KEYS[3]: the pending list
-- KEYS[4]: the task
-- ARGV[1]: its id
-- Reply: 1; 0 if the task is no longer active
-- Whether the task was active and had a lease. It has neither after this.
local function released(active, lease, id)
  return redis.call('LREM', active, 0, id) > 0 and redis.call('ZREM', lease, id) > 0
end
if not released(KEYS[1], KEYS[2], ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[4], 'state', 'pending')
return 1
