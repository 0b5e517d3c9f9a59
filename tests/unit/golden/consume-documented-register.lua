-- Adds a worker to the set of workers. A set of synthetic workers alone ends with them: nobody else would end it, and
-- asynq's servers, which keep a sorted set under this key, could not register.
-- KEYS[1]: the set of workers
-- ARGV[1]: the worker
-- ARGV[2]: seconds after which its registration ends
-- ARGV[3]: what the names of synthetic workers have in them
-- Reply: 1
redis.call('SADD', KEYS[1], ARGV[1])
for _, member in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if not string.find(member, ARGV[3], 1, true) then
    redis.call('PERSIST', KEYS[1])
    return 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
