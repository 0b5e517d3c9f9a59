-- Takes a job's lease.
-- KEYS[1]: the lease
-- KEYS[2]: the job. It counts the runs that have held its lease, so that one which has slept through the end of its
--          lease, and through another run's work, cannot take the lease for its own again.
-- ARGV[1]: holder to replace, '' for none
-- ARGV[2]: new holder
-- ARGV[3]: milliseconds
-- Reply: the number of this run; 0 where another holds the lease
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return redis.call('HINCRBY', KEYS[2], 'runs', 1)
