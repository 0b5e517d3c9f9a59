-- Writes a task that differs from what is there: the hash may be left from a run with other options. A task that is the
-- same is left alone, because a worker may have it already.
-- KEYS[1]: the task's hash
-- ARGV[1]: its type
-- ARGV[2]: its payload
-- ARGV[3]: its max_retry
-- ARGV[4]: its queue
-- Reply: OK if it is left alone and compact, as far as the server tells; otherwise a number
local same = true
for i, name in ipairs({'type', 'payload', 'max_retry', 'queue'}) do
  same = same and redis.call('HGET', KEYS[1], name) == ARGV[i]
end
if same then
  local encoding = redis.pcall('OBJECT', 'ENCODING', KEYS[1])
  return encoding == 'hashtable' and 0 or redis.status_reply('OK')
end
return redis.call('HSET', KEYS[1], 'type', ARGV[1], 'payload', ARGV[2], 'retry', '0', 'max_retry', ARGV[3],
  'queue', ARGV[4])
