-- Makes an active task the next pending one.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- KEYS[3]: the pending list
-- ARGV[1]: its id
-- Reply: 1; 0 if the task is no longer active
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[2], 'state')
return 1
