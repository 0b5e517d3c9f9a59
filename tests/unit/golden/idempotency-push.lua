-- Pushes the ids of a request and sets its mark, unless the mark is set.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the mark
-- ARGV[1]: the mark's value
-- ARGV[2]: its time to live in seconds
-- ARGV[3]: the key of the hash that was written first, together with those of other requests
-- ARGV[4]: the key of the hash that was written last
-- ARGV[5] and on: the ids, the first to be consumed first
-- Reply: '' if the ids were pushed now, else the value of the existing mark
local earlier = redis.call('GET', KEYS[2])
if earlier then return earlier end
-- A server may lose data without closing a connection: by FLUSHALL, or in a failover behind a proxy. What is lost then
-- includes the hash that was written first, or the one that was written last. A user without the right to read them
-- does without this: as KEYS, they would keep such a user from running the script at all.
if ARGV[3] ~= '' then
  local there = redis.pcall('EXISTS', ARGV[3], ARGV[4])
  if there == 0 or there == 1 then return redis.error_reply('LOST hashes of tasks that are to be pushed') end
end
-- Redis does not undo a script in which a command fails. So LLEN finds a pending key of another type before anything is
-- written, and the push comes last: then only the mark has to be removed again (see loader/jobs/ledger_scripts.py).
redis.call('LLEN', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
local ok, fault = pcall(function()
  for i = 5, #ARGV, 5000 do redis.call('LPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 4999, #ARGV))) end
end)
if ok then return '' end
redis.pcall('DEL', KEYS[2])
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
