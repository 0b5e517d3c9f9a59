-- Writes tasks, measures them, and deletes them again.
-- KEYS[1]: the beginning of the names of scratch keys
-- ARGV[1]: the number of scratch keys to write first
-- ARGV[2]: not used
-- ARGV[3]: the time in nanoseconds since 1970
-- ARGV[4] and on: each task's arguments
-- Reply: number of tasks, number of keys, their size in bytes, growth of used_memory in bytes
local function used()
  local told, info = pcall(redis.call, 'INFO', 'memory')
  return told and tonumber(string.match(info, 'used_memory:(%d+)')) or 0
end
local function usage(key)
  local bytes = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
  return bytes or 0
end

local function key_of(id) return 'asynq:t:' .. id end
-- Whether a key is free. If it is, what takes back the task deletes it.
local function is_free(key, undo)
  if redis.call('EXISTS', key) == 1 then return false end
  -- This DEL deletes nothing. It fails, before anything is written, if the user has no right to undo.
  if #undo == 0 then redis.call('DEL', key) end
  undo[#undo + 1] = key
  return true
end
-- Makes a task's hash from its dump, if the key is free. BUSYKEY tells that it is not.
local function restored(key, dump, undo)
  local count = #undo
  -- This DEL deletes nothing. It fails, before anything is written, if the user has no right to undo.
  if count == 0 and redis.call('EXISTS', key) == 0 then redis.call('DEL', key) end
  local reply = redis.pcall('RESTORE', key, '0', dump)
  if reply.err then
    if string.sub(reply.err, 1, 7) == 'BUSYKEY' then return false end
    error(reply)
  end
  undo[count + 1] = key
  return true
end
-- Writes further fields of a task's hash, each name and value after its length, as in 5:state7:pending.
local function write_further(key, text)
  local parts, at = {}, 1
  while at <= #text do
    local colon = string.find(text, ':', at, true)
    local stop = colon + tonumber(string.sub(text, at, colon - 1))
    parts[#parts + 1] = string.sub(text, colon + 1, stop)
    at = stop + 1
  end
  for i = 1, #parts, 2 do redis.call('HSET', key, parts[i], parts[i + 1]) end
end
-- A task's arguments: id, and its dump (which begins with another byte), or 'h' with type, payload, max_retry and
-- further fields, each after its length in four bytes.
local function write(key, at, undo)
  local value = ARGV[at + 1]
  if string.byte(value) ~= 104 then return restored(key, value, undo) or '' end
  if not is_free(key, undo) then return '' end
  local kind, payload, retries, fields = struct.unpack('<I4c0I4c0I4c0I4c0', value, 2)
  redis.call('HSET', key, 'type', kind, 'payload', payload, 'retry', '0', 'max_retry', retries, 'queue', 'inference.default')
  if fields ~= '' then write_further(key, fields) end
  return true
end

local undo, tasks, keys, bytes, grown = {}, 0, 0, 0, 0
local ok, fault = pcall(function()
  for i = 1, ARGV[1] do redis.call('SET', KEYS[1] .. i, '') end
  local before = used()
  for at = 4, #ARGV, 2 do
    if write(key_of(ARGV[at]), at, undo) == true then tasks = tasks + 1 end
  end
  grown = used() - before
  for i = 1, #undo do
    if type(undo[i]) == 'string' then
      local size = usage(undo[i])
      if size > 0 then keys, bytes = keys + 1, bytes + size end
    end
  end
end)
for i = #undo, 1, -1 do
  if type(undo[i]) == 'string' then redis.pcall('DEL', undo[i]) else redis.pcall(unpack(undo[i])) end
end
for i = 1, ARGV[1] do redis.pcall('DEL', KEYS[1] .. i) end
if ok then return {tasks, keys, bytes, grown} end
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
