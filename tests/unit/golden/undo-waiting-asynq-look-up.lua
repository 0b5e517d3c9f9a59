-- Takes tasks that are scheduled, or wait in a group.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the number of tasks of the job that were taken back from this queue
-- KEYS[3]: a list of ids of which keys in other slots are still to be deleted
-- KEYS[4]: a sorted set of ids: the scheduled ones, or a group
-- KEYS[5]: the set of the names of groups
-- ARGV[1]: the name of the group; '' for the scheduled ones
-- ARGV[2] and on: the ids to take, each with its lock ('' if it is not known)
-- Reply: the number of tasks taken
-- The lock goes only if it is this task's (asynq 0.26, internal/rdb, deleteTaskCmd).
local function forget(id, lock)
  local key = 'asynq:{inference.default}:t:' .. id
  if lock == '' then lock = redis.call('HGET', key, 'unique_key') or '' end
  if lock ~= '' and redis.call('GET', lock) == id then redis.call('DEL', lock) end
  local there = redis.call('DEL', key)
  -- In the documented layout, this is the key of a task.
  local reverse = 'asynq:t:' .. id
  if redis.call('HGET', reverse, 'queue') == 'inference.default' and redis.call('HLEN', reverse) == 1 then
    redis.call('DEL', reverse)
  end
  return there
end

-- Takes the rest of tasks whose ids were taken. locks: their locks, where they are known ('' if not).
-- Returns the number of tasks: an id may be in the list twice, or no longer have a task.
local function settle(ids, locks)
  local tasks, seen = 0, {}
  for i = 1, #ids do
    if not seen[ids[i]] then tasks = tasks + forget(ids[i], locks and locks[i] or '') end
    seen[ids[i]] = true
  end
  if tasks > 0 then redis.call('INCRBY', KEYS[2], tasks) end
  return tasks
end
local ids, locks = {}, {}
for i = 2, #ARGV, 2 do
  if redis.call('ZREM', KEYS[4], ARGV[i]) == 1 then
    ids[#ids + 1] = ARGV[i]
    locks[#locks + 1] = ARGV[i + 1]
  end
end
if ARGV[1] ~= '' and redis.call('EXISTS', KEYS[4]) == 0 then redis.call('SREM', KEYS[5], ARGV[1]) end
return settle(ids, locks)
