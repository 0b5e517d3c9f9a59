-- Pushes the ids of requests whose hashes are written.
-- KEYS[1]: the queue's pending list
-- ARGV[1]: the key of the hash that was written first
-- ARGV[2]: the key of the hash that was written last
-- ARGV[3] and on: the ids, the first to be consumed first
-- Reply: always 0
-- A server may lose data without closing a connection: by FLUSHALL, or in a failover behind a proxy. What is lost then
-- includes the hash that was written first, or the one that was written last. A user without the right to read them
-- does without this: as KEYS, they would keep such a user from running the script at all.
if ARGV[1] ~= '' then
  local there = redis.pcall('EXISTS', ARGV[1], ARGV[2])
  if there == 0 or there == 1 then return redis.error_reply('LOST hashes of tasks that are to be pushed') end
end
-- In slices: unpack() is limited by Lua's C stack. A pending key of another type is found before anything is pushed.
for i = 3, #ARGV, 5000 do redis.call('LPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 4999, #ARGV))) end
return 0
