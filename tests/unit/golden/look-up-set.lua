-- Writes the look-up of a task that is to be placed in a queue, unless the key is a task itself.
-- KEYS[1]: the look-up
-- ARGV[1]: the queue
-- Reply: 1 if there was none before
if redis.call('HEXISTS', KEYS[1], 'payload') == 1 then return 0 end
return redis.call('HSET', KEYS[1], 'queue', ARGV[1])
