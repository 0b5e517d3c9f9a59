-- Makes an active task the next pending one (requeueCmd).
-- KEYS[1]: the active list
-- KEYS[2]: the leases
-- KEYS[3]: the pending list
-- KEYS[4]: the task
-- ARGV[1]: its id
-- Reply: 1; 0 if the task is no longer active
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
return released(KEYS[1], KEYS[2], ARGV[1], function()
  redis.call('HSET', KEYS[4], 'state', 'pending')
  redis.call('RPUSH', KEYS[3], ARGV[1])
end)
