-- Adds a worker to the set of workers. A set of this worker alone ends with it: nobody else would end it, and asynq's
-- servers, which keep a sorted set under this key, could not register.
-- KEYS[1]: the set of workers
-- ARGV[1]: the worker
-- ARGV[2]: seconds after which its registration ends
-- Reply: 1
redis.call('SADD', KEYS[1], ARGV[1])
if redis.call('SCARD', KEYS[1]) == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) else redis.call('PERSIST', KEYS[1]) end
return 1
