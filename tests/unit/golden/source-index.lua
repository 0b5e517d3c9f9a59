-- Notes a job as a user of sources, unless another job has used one of them.
-- KEYS[1] and on: a hash for each source, from job to time
-- ARGV[1]: the job
-- ARGV[2]: the time
-- ARGV[3]: 1 to note the job although others have used the sources
-- ARGV[4] and on: jobs that do not count
-- Reply: empty, or the index of a key, from 1, and the jobs in it
local ignored = {[ARGV[1]] = true}
for i = 4, #ARGV do ignored[ARGV[i]] = true end
for i = 1, #KEYS do
  if ARGV[3] ~= '1' then
    local jobs, others = redis.call('HGETALL', KEYS[i]), {i}
    for j = 1, #jobs, 2 do
      if not ignored[jobs[j]] then others[#others + 1] = jobs[j] end
    end
    if #others > 1 then return others end
  end
end
for i = 1, #KEYS do
  redis.call('HSETNX', KEYS[i], ARGV[1], ARGV[2])
  -- It may end with jobs that are finished. Without the right to keep it, it ends.
  redis.pcall('PERSIST', KEYS[i])
end
return {}
