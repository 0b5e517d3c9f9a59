-- Notes the ids of tasks that are to be placed, and whose hashes are written next.
-- KEYS[1]: the set of ids that this job has placed
-- KEYS[2]: the ids whose hashes are written, and that may have a mark
-- KEYS[3]: the set of the jobs that move tasks out of this queue
-- ARGV[1]: what the keys of such jobs begin with
-- ARGV[2] and on: the ids
-- Reply: for each id, '' if it is noted; 'a' if this job has placed it before; 'h' if another job holds it, which has
--        claimed it here, and is about to delete its hash
local held = {}
for _, job in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  for _, id in ipairs(redis.call('LRANGE', ARGV[1] .. job .. ':moving', 0, -1)) do held[id] = true end
end
local verdicts = {}
for i = 2, #ARGV do
  local verdict = ''
  if redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 then verdict = 'a'
  elseif held[ARGV[i]] then verdict = 'h'
  else redis.call('RPUSH', KEYS[2], ARGV[i]) end
  verdicts[i - 1] = verdict
end
return verdicts
