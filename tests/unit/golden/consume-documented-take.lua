-- Takes the oldest pending task. An id without a task is dropped.
-- KEYS[1]: the pending list
-- KEYS[2]: the active list
-- ARGV[1]: what the keys of tasks begin with
-- ARGV[2]: the consumer
-- ARGV[3]: the field that each task has; then the names of other fields to read
-- Reply: its id, then the fields; the id alone if it has no task; none if there is none
local id = redis.call('LINDEX', KEYS[1], -1)
if not id then return false end
local key = ARGV[1] .. id
local task = redis.pcall('HMGET', key, unpack(ARGV, 3))
if task.err and not string.find(task.err, 'WRONGTYPE', 1, true) then return task end
if task.err or not task[1] then
  redis.call('LREM', KEYS[1], -1, id)
  return {id}
end
local done, fault = pcall(function()
  redis.call('HSET', key, 'state', 'active', 'runqy-loader-consumer', ARGV[2])
  redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
end)
if not done then
  redis.pcall('HDEL', key, 'state', 'runqy-loader-consumer')
  error(fault, 0)
end
return {id, unpack(task)}
