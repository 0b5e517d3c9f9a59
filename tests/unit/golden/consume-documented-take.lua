-- Takes the oldest pending task. An id without a task is dropped.
-- KEYS[1]: the pending list
-- KEYS[2]: the active list
-- ARGV[1]: what the keys of tasks begin with
-- ARGV[2]: the field that each task has; then the names of other fields to read
-- Reply: its id, then the fields; the id alone if it has no task; none if there is none
local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
if not id then return false end
local key = ARGV[1] .. id
local task = redis.pcall('HMGET', key, unpack(ARGV, 2))
if task.err or not task[1] then
  redis.call('LREM', KEYS[2], 1, id)
  return {id}
end
redis.call('HSET', key, 'state', 'active')
return {id, unpack(task)}
