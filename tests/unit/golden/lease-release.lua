-- Releases a job's lease.
-- KEYS[1]: the lease
-- ARGV[1]: the holder
-- Reply: 1; 0 if it does not hold the lease
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
