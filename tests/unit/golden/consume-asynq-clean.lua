-- Deletes completed tasks whose retention is over (deleteExpiredCompletedTasksCmd): at most 100.
-- KEYS[1]: the completed tasks
-- ARGV[1]: Unix time
-- ARGV[2]: what the keys of tasks begin with
-- Reply: the number of tasks
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(ids) do
  redis.call('DEL', ARGV[2] .. id)
  redis.call('ZREM', KEYS[1], id)
end
return #ids
