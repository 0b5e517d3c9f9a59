-- Deletes the rest of tasks whose ids were taken.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the number of tasks of the job that were taken back from this queue
-- KEYS[3]: a list of ids of which keys in other slots are still to be deleted
-- KEYS[4]: a list of taken ids, each as NUMBER:ID
-- ARGV[1]: how many of them to drop
-- Reply: how many are left
-- Whether there is a task is not known here.
local function forget() return 1 end

-- Takes the rest of tasks whose ids were taken. locks: their locks, where they are known ('' if not).
-- Returns the number of tasks: an id may be in the list twice, or no longer have a task.
local function settle(ids, locks)
  local tasks, seen = 0, {}
  for i = 1, #ids do
    if not seen[ids[i]] then tasks = tasks + forget(ids[i], locks and locks[i] or '') end
    seen[ids[i]] = true
  end
  if tasks > 0 then redis.call('INCRBY', KEYS[2], tasks) end
  -- In slices: unpack() is limited by Lua's C stack (LUAI_MAXCSTACK, 8000 in Lua 5.1).
  for i = 1, #ids, 5000 do redis.call('RPUSH', KEYS[3], unpack(ids, i, math.min(i + 4999, #ids))) end
  return tasks
end
local ids = redis.call('LRANGE', KEYS[4], 0, ARGV[1] - 1)
for i = 1, #ids do ids[i] = string.match(ids[i], '^[0-9]+:(.*)$') end
settle(ids)
redis.call('LTRIM', KEYS[4], #ids, -1)
return redis.call('LLEN', KEYS[4])
