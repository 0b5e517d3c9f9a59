-- Pushes the ids of requests whose hashes are written.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the hash that was written first
-- KEYS[3]: the hash that was written last
-- ARGV: the ids, the first to be consumed first
-- Reply: always 0
-- A server may lose data without closing a connection: by FLUSHALL, or in a failover behind a proxy. What is lost then
-- includes the hash that was written first, or the one that was written last. A user without the right to EXISTS does
-- without this.
if #KEYS > 1 then
  local there = redis.pcall('EXISTS', KEYS[2], KEYS[3])
  if there == 0 or there == 1 then return redis.error_reply('LOST hashes of tasks that are to be pushed') end
end
-- In slices: unpack() is limited by Lua's C stack. A pending key of another type is found before anything is pushed.
for i = 1, #ARGV, 5000 do redis.call('LPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 4999, #ARGV))) end
return 0
