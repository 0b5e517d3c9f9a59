-- Archives a task that has failed too often, and trims the archive (archiveCmd).
-- KEYS[1]: the active list
-- KEYS[2]: the leases
-- KEYS[3]: the task
-- KEYS[4]: the day's counter of executions
-- KEYS[5]: the counter of executions
-- KEYS[6]: the day's counter of failures
-- KEYS[7]: the counter of failures
-- KEYS[8]: the archived tasks
-- ARGV[1]: its id
-- ARGV[2]: Unix time at which the day's counters end
-- ARGV[3]: the largest value of a counter
-- ARGV[4]: Unix time
-- ARGV[5]: its message
-- ARGV[6]: Unix time; tasks that were archived before it are deleted
-- ARGV[7]: the number of archived tasks at which the oldest ones are deleted
-- ARGV[8]: what the keys of tasks begin with
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
local function archive()
  redis.call('ZADD', KEYS[8], ARGV[4], ARGV[1])
  redis.call('HSET', KEYS[3], 'msg', ARGV[5], 'state', 'archived')
end
if released(KEYS[1], KEYS[2], ARGV[1], archive, KEYS[8]) == 0 then return 0 end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[8], '-inf', ARGV[6])) do redis.call('DEL', ARGV[8] .. id) end
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', ARGV[6])
for _, id in ipairs(redis.call('ZRANGE', KEYS[8], 0, -ARGV[7])) do redis.call('DEL', ARGV[8] .. id) end
redis.call('ZREMRANGEBYRANK', KEYS[8], 0, -ARGV[7])
count(KEYS[4], KEYS[5], ARGV[2], ARGV[3])
count(KEYS[6], KEYS[7], ARGV[2], ARGV[3])
return 1
