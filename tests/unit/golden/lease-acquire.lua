-- Takes a job's lease.
-- KEYS[1]: the lease
-- KEYS[2]: the job. It counts the runs that have held its lease. So a run that was suspended beyond the end of its
--          lease, while another run worked, cannot take the lease again.
-- ARGV[1]: the holder to replace, '' for none
-- ARGV[2]: the new holder
-- ARGV[3]: milliseconds
-- Reply: the number of this run; 0 if another run holds the lease
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return redis.call('HINCRBY', KEYS[2], 'runs', 1)
