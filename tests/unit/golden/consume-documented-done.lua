-- Ends a task that is done: deletes it, or keeps it with its result for a time.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- KEYS[3]: its result
-- ARGV[1]: its id
-- ARGV[2]: seconds to keep it; 0 to delete it
-- ARGV[3]: the result
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
  if ARGV[2] == '0' then
    redis.call('DEL', KEYS[2])
  else
    redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[2])
    redis.call('HSET', KEYS[2], 'state', 'completed')
    redis.call('HDEL', KEYS[2], 'runqy-loader-consumer')
    redis.call('EXPIRE', KEYS[2], ARGV[2])
  end
end)
