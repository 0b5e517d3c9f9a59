-- Makes tasks pending whose time has come, or has them wait in their group (forwardCmd): at most 100.
-- KEYS[1]: the tasks that are scheduled, or wait for their retry
-- KEYS[2]: the pending list
-- ARGV[1]: Unix time
-- ARGV[2]: what the keys of tasks begin with
-- ARGV[3]: Unix time in nanoseconds
-- ARGV[4]: what the keys of groups begin with
-- Reply: the number of tasks
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(ids) do
  local key = ARGV[2] .. id
  local group = redis.call('HGET', key, 'group')
  redis.call('ZREM', KEYS[1], id)
  if group and group ~= '' then
    redis.call('ZADD', ARGV[4] .. group, ARGV[1], id)
    redis.call('HSET', key, 'state', 'aggregating')
  else
    redis.call('LPUSH', KEYS[2], id)
    redis.call('HSET', key, 'state', 'pending', 'pending_since', ARGV[3])
  end
end
return #ids
