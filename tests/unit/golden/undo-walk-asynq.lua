-- Takes tasks out of the middle of a queue.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the number of tasks of the job that were taken back from this queue
-- KEYS[3]: a list of ids of which keys in other slots are still to be deleted
-- ARGV[1]: how many elements at the left end were looked at, and stay
-- ARGV[2]: the last of these; '' for none
-- ARGV[3]: how many elements after it the caller has looked at by now
-- ARGV[4]: the last of these; '' for none
-- ARGV[5]: how many of the following ones to return
-- ARGV[6]: a text that is no id
-- ARGV[7] and on: the ids to take among them
-- Reply: the number of tasks taken, new values for ARGV[1] and ARGV[2], and the following elements; or -1 if element
--        ARGV[2] is no longer near its place, and nothing is done
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
local position, anchor, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local from = math.max(position - 1, 0)
local window = redis.call('LRANGE', KEYS[1], from, from + count + 2000)
-- Others push on the left, so elements only move to the right, unless somebody removes some on the left.
local start = 1
if position > 0 then
  while window[start] and window[start] ~= anchor do start = start + 1 end
  if not window[start] then return {-1, position, anchor, {}} end
  start = start + 1
  position = from + start - 1
end
local wanted = {}
for i = 7, #ARGV do wanted[ARGV[i]] = true end
local stop
if ARGV[4] ~= '' then
  stop = start + count - 1
  while window[stop] and window[stop] ~= ARGV[4] do stop = stop + 1 end
end
local at, ids = {}, {}
for i = start, #window do
  if wanted[window[i]] then
    at[#at + 1] = from + i - 1
    ids[#ids + 1] = window[i]
  elseif stop and window[stop] and i <= stop then
    position, anchor = from + i - #at, window[i]
  end
end
if #at > 0 then
  local length = redis.call('LLEN', KEYS[1])
  local left, right = 0, 0
  while left < #at and at[left + 1] == left do left = left + 1 end
  while right < #at - left and at[#at - right] == length - 1 - right do right = right + 1 end
  local inner = #at - left - right
  for i = left + 1, left + inner do
    -- From the nearer end: a server before 7.0 goes from the one that the sign tells.
    redis.call('LSET', KEYS[1], at[i] * 2 < length and at[i] or at[i] - length, ARGV[6])
  end
  if inner > 0 then
    local is_left = at[left + inner] < length - at[left + 1]
    redis.call('LREM', KEYS[1], is_left and inner or -inner, ARGV[6])
  end
  if right > 0 then redis.call('LTRIM', KEYS[1], 0, -right - 1) end
  if left > 0 then redis.call('LTRIM', KEYS[1], left, -1) end
end
return {settle(ids), position, anchor, redis.call('LRANGE', KEYS[1], position, position + ARGV[5] - 1)}
