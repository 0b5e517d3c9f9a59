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
-- Whether the task was active and had a lease. It has neither after this.
local function released(active, lease, id)
  return redis.call('LREM', active, 0, id) > 0 and redis.call('ZREM', lease, id) > 0
end
-- Releases a uniqueness lock that the task holds.
local function unlock(key, id)
  if key and redis.call('GET', key) == id then redis.call('DEL', key) end
end
if not released(KEYS[1], KEYS[2], ARGV[1]) or redis.call('DEL', KEYS[3]) == 0 then return 0 end
count(KEYS[4], KEYS[5], ARGV[2], ARGV[3])
unlock(KEYS[6], ARGV[1])
return 1
