-- Ends a task that has failed too often.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- ARGV[1]: its id
-- ARGV[2]: the error
-- Reply: 1; 0 if the task is no longer active
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'state', 'archived', 'error_msg', ARGV[2])
return 1
