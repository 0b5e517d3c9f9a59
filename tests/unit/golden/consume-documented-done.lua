-- Ends a task that is done: deletes it, or keeps it with its result for a time.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- KEYS[3]: its result
-- ARGV[1]: its id
-- ARGV[2]: seconds to keep it; 0 to delete it
-- ARGV[3]: the result
-- Reply: 1; 0 if the task is no longer active
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[2])
  redis.call('HSET', KEYS[2], 'state', 'completed')
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
return 1
