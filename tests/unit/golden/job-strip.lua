-- Deletes a job's record, but for the number of its runs, which ends by itself.
-- KEYS[1]: the job
-- ARGV[1]: after how many milliseconds the number ends
-- Reply: always 0
local runs = redis.call('HGET', KEYS[1], 'runs')
redis.call('DEL', KEYS[1])
if runs then
  redis.call('HSET', KEYS[1], 'runs', runs)
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 0
