-- Takes tasks from the end of a queue from which consumers take.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the number of tasks of the job that were taken back from this queue
-- KEYS[3]: a list of ids of which keys in other slots are still to be deleted
-- ARGV[1]: how many elements at the right end to return
-- ARGV[2] and on: the ids to take, if they are at the right end, one beside the other
-- Reply: the number of tasks taken, and the elements that are at the right end then
-- The lock goes only if it is this task's (asynq 0.26, internal/rdb, deleteTaskCmd).
local function forget(id, lock)
  local key = 'asynq:{inference.default}:t:' .. id
  if lock == '' then lock = redis.call('HGET', key, 'unique_key') or '' end
  if lock ~= '' and redis.call('GET', lock) == id then redis.call('DEL', lock) end
  local there = redis.call('DEL', key)
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
local wanted, ids = {}, {}
for i = 2, #ARGV do wanted[ARGV[i]] = true end
if #ARGV > 1 then
  local window = redis.call('LRANGE', KEYS[1], 1 - #ARGV, -1)
  for i = #window, 1, -1 do
    if not wanted[window[i]] then break end
    ids[#ids + 1] = window[i]
  end
  if #ids > 0 then redis.call('LTRIM', KEYS[1], 0, -#ids - 1) end
end
return {settle(ids), redis.call('LRANGE', KEYS[1], -ARGV[1], -1)}
