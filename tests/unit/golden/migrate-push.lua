-- Pushes the ids of tasks whose hashes are written in other slots, each once, and notes them.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: the set of ids that this job has placed
-- ARGV: the ids, the first to be consumed first
-- Reply: the positions not placed, comma-separated, each with the letter 'a': this job has placed the task before


-- This finds a pending key of another type before anything is written.
redis.call('LLEN', KEYS[1])
-- undo: what undoes the writes: keys to delete, and commands. It is done in reverse order.
local ids, undo, skipped = {}, {}, ''

local placed, seen = {}, {}
local function place()
  local taken = {}
  for i = 1, #ARGV do
    if seen[ARGV[i]] or redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 1 then taken[#taken + 1] = (i - 1) .. 'a'
    else placed[#placed + 1], ids[#ids + 1], seen[ARGV[i]] = ARGV[i], ARGV[i], true end
  end
  return table.concat(taken, ',')
end

local ok, fault = pcall(function()
  skipped = place()
  if #placed > 0 then
    undo[#undo + 1] = {'SREM', KEYS[2], unpack(placed)}
    redis.call('SADD', KEYS[2], unpack(placed))
  end
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
