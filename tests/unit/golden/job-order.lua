-- Notes an order in a job's record, unless the job does not go on.
-- KEYS[1]: the job
-- ARGV[1]: the field
-- ARGV[2]: its value
-- Reply: 1 if it is noted
if redis.call('HGET', KEYS[1], 'state') ~= 'loading' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
