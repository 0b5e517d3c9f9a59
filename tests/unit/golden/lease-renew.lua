-- Renews a job's lease.
-- KEYS[1]: the lease
-- KEYS[2]: the job
-- ARGV[1]: the holder
-- ARGV[2]: milliseconds
-- ARGV[3]: the number of its run
-- Reply: 1; 0 if another run has taken the lease; the holder, if the server has lost data and has an older lease again
local holder = redis.call('GET', KEYS[1])
local runs = tonumber(redis.call('HGET', KEYS[2], 'runs') or 0)
if holder and holder ~= ARGV[1] then return runs < tonumber(ARGV[3]) and holder or 0 end
-- If the server has lost its data, it has lost the job as well: go on.
if not holder and runs > tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
