-- Pushes the ids of a batch whose hashes are written, and marks the batch. Does nothing if it is marked already.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the bitmap of the batches that are in
-- KEYS[3]: the CRC-32 of each batch, four bytes each
-- KEYS[4]: the hash from batch to skipped positions
-- KEYS[5]: the records of each batch, 24 bytes each (loader/jobs/records.py)
-- ARGV[1]: the number of the batch
-- ARGV[2]: the batch's CRC-32, four bytes; then, if they are known, its records
-- ARGV[3]: the skipped positions, as in the reply
-- ARGV[4]: the key of the hash that was written first; '', as the next one, if the hashes are on other servers
-- ARGV[5]: the key of the hash that was written last
-- ARGV[6] and on: the ids, the first to be consumed first
-- Reply: the positions skipped, now or when the batch was marked; comma-separated, each with a letter for the reason
--        (loader/jobs/ledger.py)
-- KEYS[6]: which run of the shard may write: a hash (loader/jobs/claims.py)
-- The last argument: the claim of the run that writes. An older one than the newest is refused, with the error CLAIMED.

local claim = table.remove(ARGV)
local newest = redis.call('HGET', KEYS[6], 'claim')
if newest ~= claim then
  local function number(text) return tonumber(string.match(text, '^%d+')) end
  if newest and number(newest) >= number(claim) then
    return redis.error_reply('CLAIMED another run of this shard has the newer claim ' .. newest)
  end
  -- The server has lost it.
  redis.call('HSET', KEYS[6], 'claim', claim)
end
if redis.call('GETBIT', KEYS[2], ARGV[1]) == 1 then return redis.call('HGET', KEYS[4], ARGV[1]) or '' end
-- A server may lose data without closing a connection: by FLUSHALL, or in a failover behind a proxy. What is lost then
-- includes the hash that was written first, or the one that was written last. A user without the right to read them
-- does without this: as KEYS, they would keep such a user from running the script at all.
if ARGV[4] ~= '' then
  local there = redis.pcall('EXISTS', ARGV[4], ARGV[5])
  if there == 0 or there == 1 then return redis.error_reply('LOST hashes of tasks that are to be pushed') end
end

-- This finds a pending key of another type before anything is written.
redis.call('LLEN', KEYS[1])
-- undo: what undoes the writes: keys to delete, and commands. It is done in reverse order.
local ids, undo, skipped = {}, {}, ''

local function place()
  -- As many ids at once as unpack() can certainly take, the rest one by one.
  ids = {unpack(ARGV, 6, math.min(#ARGV, 4005))}
  for i = 4006, #ARGV do ids[#ids + 1] = ARGV[i] end
  return ARGV[3]
end

local ok, fault = pcall(function()
  skipped = place()
  redis.call('SETRANGE', KEYS[3], ARGV[1] * 4, string.sub(ARGV[2], 1, 4))
  if #ARGV[2] > 4 then redis.call('SETRANGE', KEYS[5], ARGV[1] * 24, string.sub(ARGV[2], 5)) end
  if #skipped > 0 then redis.call('HSET', KEYS[4], ARGV[1], skipped) end
  undo[#undo + 1] = {'SETBIT', KEYS[2], ARGV[1], 0}
  redis.call('SETBIT', KEYS[2], ARGV[1], 1)
  -- In slices: unpack() is limited by Lua's C stack (LUAI_MAXCSTACK, 8000 in Lua 5.1).
  for i = 1, #ids, 5000 do redis.call('LPUSH', KEYS[1], unpack(ids, i, math.min(i + 4999, #ids))) end
end)
if ok then return skipped end
for i = #undo, 1, -1 do
  if type(undo[i]) == 'string' then redis.pcall('DEL', undo[i]) else redis.pcall(unpack(undo[i])) end
end
-- A table is the error reply of a command; anything else is a Lua error.
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
