-- Has a failed task wait for its retry (retryCmd).
-- KEYS[1]: the active list
-- KEYS[2]: the leases
-- KEYS[3]: the task
-- KEYS[4]: the day's counter of executions
-- KEYS[5]: the counter of executions
-- KEYS[6]: the day's counter of failures
-- KEYS[7]: the counter of failures
-- KEYS[8]: the tasks that wait for their retry
-- ARGV[1]: its id
-- ARGV[2]: Unix time at which the day's counters end
-- ARGV[3]: the largest value of a counter
-- ARGV[4]: Unix time of the retry
-- ARGV[5]: its message
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
if not released(KEYS[1], KEYS[2], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[8], ARGV[4], ARGV[1])
redis.call('HSET', KEYS[3], 'msg', ARGV[5], 'state', 'retry')
count(KEYS[4], KEYS[5], ARGV[2], ARGV[3])
count(KEYS[6], KEYS[7], ARGV[2], ARGV[3])
return 1
