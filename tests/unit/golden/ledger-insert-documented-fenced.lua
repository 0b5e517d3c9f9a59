-- Writes and pushes the tasks of a batch whose ids are free, and marks the batch. Does nothing if it is marked.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the bitmap of the batches that are in
-- KEYS[3]: the CRC-32 of each batch, four bytes each
-- KEYS[4]: the hash from batch to skipped positions
-- KEYS[5]: the records of each batch, 24 bytes each (loader/jobs/records.py)
-- ARGV[1]: the number of the batch
-- ARGV[2]: the batch's CRC-32, four bytes; then, if they are known, its records
-- ARGV[3]: the time in nanoseconds since 1970
-- ARGV[4]: 1 if the ids were made for this job: then a hash with such an id is left from an earlier run
-- ARGV[5] and on: each task's arguments, the first task to be consumed first
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

-- This finds a pending key of another type before anything is written.
redis.call('LLEN', KEYS[1])
-- A full server refuses a script at its first write, and never later. The DELs below count as writes, and are allowed.
-- So this comes first, which writes nothing and creates no key.
redis.call('SETRANGE', KEYS[3], 0, '')
-- undo: what undoes the writes: keys to delete, and commands. It is done in reverse order.
local ids, undo, skipped = {}, {}, ''

local function key_of(id) return 'asynq:t:' .. id end
-- Whether a key is free. If it is, what takes back the task deletes it.
local function is_free(key, undo)
  if redis.call('EXISTS', key) == 1 then return false end
  -- This DEL deletes nothing. It fails, before anything is written, if the user has no right to undo.
  if #undo == 0 then redis.call('DEL', key) end
  undo[#undo + 1] = key
  return true
end
-- A task's arguments: id, payload, type, max_retry.
local function write(key, at, undo)
  if not is_free(key, undo) then return '' end
  redis.call('HSET', key, 'type', ARGV[at + 2], 'payload', ARGV[at + 1],
    'retry', '0', 'max_retry', ARGV[at + 3], 'queue', 'inference.default')
  return true
end

local function place()
  local taken = {}
  for at = 5, #ARGV, 4 do
    local key = key_of(ARGV[at])
    local verdict = write(key, at, undo)
    if verdict == '' and ARGV[4] == '1' then
      local reply = redis.pcall('HGET', key, 'msg')
      if type(reply) == 'table' and string.find(reply.err, 'WRONGTYPE', 1, true) then
        -- Such a key is not the job's.
        verdict = 't'
      elseif type(reply) == 'table' then
        error(reply)
      else
        redis.call('DEL', key)
        verdict = write(key, at, undo)
      end
    end
    if verdict == true then ids[#ids + 1] = ARGV[at]
    elseif verdict then taken[#taken + 1] = (at - 5) / 4 .. verdict end
  end
  return table.concat(taken, ',')
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
