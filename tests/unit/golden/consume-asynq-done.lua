-- Deletes a task that is done (doneCmd, doneUniqueCmd).
-- KEYS[1]: the active list
-- KEYS[2]: the leases
-- KEYS[3]: the task
-- KEYS[4]: the day's counter of executions
-- KEYS[5]: the counter of executions
-- KEYS[6]: its lock, if it has one
-- ARGV[1]: its id
-- ARGV[2]: Unix time at which the day's counters end
-- ARGV[3]: the largest value of a counter
-- Reply: 1; 0 if the task is no longer active
-- Counts one more task of the day, and of all days. A total at the end of its range begins anew.
local function count(day, total, expires, most)
  if redis.call('INCR', day) == 1 then redis.call('EXPIREAT', day, expires) end
  if tonumber(redis.call('GET', total) or 0) == tonumber(most) then
    redis.call('SET', total, 1)
  else
    redis.call('INCR', total)
  end
end
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
-- Releases a uniqueness lock that the task holds.
local function unlock(key, id)
  if key and redis.call('GET', key) == id then redis.call('DEL', key) end
end
local deleted = 0
released(KEYS[1], KEYS[2], ARGV[1], function() deleted = redis.call('DEL', KEYS[3]) end)
if deleted == 0 then return 0 end
count(KEYS[4], KEYS[5], ARGV[2], ARGV[3])
unlock(KEYS[6], ARGV[1])
return 1
