-- Puts the look-up in the place of a task that has left layout documented.
-- KEYS[1]: the task
-- ARGV[1]: the queue in which it is now
-- Reply: a number
redis.call('DEL', KEYS[1])
return redis.call('HSET', KEYS[1], 'queue', ARGV[1])
