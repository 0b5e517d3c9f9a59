-- Runs each command that the other scripts run, on a key of its own. Redis does not undo a script in which a command
-- fails because of a missing right. So this comes first, before a marker could be left in a queue.
-- KEYS[1]: a key that does not exist
-- Reply: OK, or the error of the first command that is refused
local key = KEYS[1]
local calls = {
  {'RPUSH', key, 'a', 'b', 'c'}, {'LLEN', key}, {'LRANGE', key, 0, -1}, {'LSET', key, 0, 'm'}, {'LREM', key, 1, 'm'},
  {'LTRIM', key, 0, 0}, {'DEL', key}, {'INCRBY', key, 1}, {'GET', key}, {'DEL', key}, {'HGET', key, 'f'},
  {'HLEN', key}, {'EXISTS', key}, {'ZREM', key, 'm'}, {'SREM', key, 'm'}, {'LPOS', key, 'm'}, {'RPUSH', key, 'a'},
  {'RENAME', key, key}, {'UNLINK', key}
}
for i = 1, #calls do
  local reply = redis.pcall(unpack(calls[i]))
  if type(reply) == 'table' and reply.err then
    redis.pcall('DEL', key)
    return reply
  end
end
return redis.status_reply('OK')
