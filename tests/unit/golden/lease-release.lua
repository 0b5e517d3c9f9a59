-- Gives a job's lease back.
-- KEYS[1]: the lease
-- ARGV[1]: holder
-- Reply: 1; 0 where it does not hold the lease
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
