-- Makes a failed task pending again, behind all others.
-- KEYS[1]: the active list
-- KEYS[2]: the task
-- KEYS[3]: the pending list
-- ARGV[1]: its id
-- ARGV[2]: how often it has been retried, this time included
-- Reply: 1; 0 if the task is no longer active
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'retry', ARGV[2], 'state', 'pending')
redis.call('LPUSH', KEYS[3], ARGV[1])
return 1
