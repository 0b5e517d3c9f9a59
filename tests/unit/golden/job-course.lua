-- Notes fields of a job's record, unless it is gone: a load that is refused takes back what it has recorded.
-- KEYS[1]: the job
-- ARGV[1] and on: names and values
-- Reply: 1 if they are noted
if not redis.call('HGET', KEYS[1], 'manifest') then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
