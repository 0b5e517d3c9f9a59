-- Deletes the hashes of sources that only this job has used.
-- KEYS[1] and on: a hash for each source, from job to time
-- ARGV[1]: the job
-- Reply: always 0
for i = 1, #KEYS do
  local jobs = redis.call('HGETALL', KEYS[i])
  if #jobs == 2 and jobs[1] == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
return 0
