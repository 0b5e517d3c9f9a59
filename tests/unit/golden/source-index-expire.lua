-- Sets when a hash of a source ends, unless more jobs are noted in it than the caller has looked at.
-- KEYS[1]: a hash from job to time
-- ARGV[1]: when it ends, in milliseconds since 1970
-- ARGV[2]: the number of jobs in it
-- Reply: 1 if it is set
if #redis.call('HGETALL', KEYS[1]) ~= 2 * ARGV[2] then return 0 end
return redis.call('PEXPIREAT', KEYS[1], ARGV[1])
