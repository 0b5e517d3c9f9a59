-- Makes a failed task pending again, behind all others.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- KEYS[3]: the pending list
-- ARGV[1]: its id
-- ARGV[2]: how often it has been retried, this time included
-- Reply: 1; 0 if the task is no longer active
-- If the task is active: removes it from the active list, and has rest() move it. Returns 1; 0 if it is not active.
-- If anything is refused, the task is active as before.
local function released(active, id, rest)
  if redis.call('LREM', active, 1, id) == 0 then return 0 end
  local done, fault = pcall(rest)
  if done then return 1 end
  redis.call('LPUSH', active, id)
  error(fault, 0)
end
return released(KEYS[1], ARGV[1], function()
  redis.call('HDEL', KEYS[2], 'runqy-loader-consumer')
  redis.call('HSET', KEYS[2], 'retry', ARGV[2], 'state', 'pending')
  redis.call('LPUSH', KEYS[3], ARGV[1])
end)
