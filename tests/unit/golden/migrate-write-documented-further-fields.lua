-- Writes the hash of a task and its mark, unless the key is another task's. Writes it anew if it has the mark.
-- KEYS[1]: the hash
-- KEYS[2]: the mark: an empty string, or a hash that was in the place of the task before
-- ARGV[1]: the source's queue, if source and target may share a task's key; otherwise ''
-- ARGV[2]: 1 if that key is the task itself; 0 if it is only runqy's look-up, a hash with only the queue's name
-- ARGV[3]: not used
-- ARGV[4] and on: the task's arguments
-- Reply: 'w' if it is written; 't' if the key holds another type, otherwise ''
-- A full server refuses a script at its first write, and never later. The DELs below count as writes, and are allowed.
-- So this comes first, which writes nothing and creates no key.
redis.call('SETRANGE', KEYS[2] .. ':room', 0, '')
local function key_of(id) return 'asynq:t:' .. id end
-- Whether a key is free. If it is, what takes back the task deletes it.
local function is_free(key, undo)
  if redis.call('EXISTS', key) == 1 then return false end
  -- This DEL deletes nothing. It fails, before anything is written, if the user has no right to undo.
  if #undo == 0 then redis.call('DEL', key) end
  undo[#undo + 1] = key
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
-- A task's arguments: id, payload, type, max_retry, further fields.
local function write(key, at, undo)
  if not is_free(key, undo) then return '' end
  redis.call('HSET', key, 'type', ARGV[at + 2], 'payload', ARGV[at + 1],
    'retry', '0', 'max_retry', ARGV[at + 3], 'queue', 'inference.default')
  if ARGV[at + 4] ~= '' then write_further(key, ARGV[at + 4]) end
  return true
end

local key, mark = KEYS[1], KEYS[2]
local function kind(name) return redis.call('TYPE', name).ok end
local before = kind(mark)
if before == 'none' then
  local there = kind(key)
  local shared = ARGV[1] ~= '' and there == 'hash' and redis.call('HGET', key, 'queue') == ARGV[1]
    and redis.call('HEXISTS', key, 'payload') == tonumber(ARGV[2])
  if shared then redis.call('RENAME', key, mark)
  elseif there == 'none' then redis.call('SET', mark, '')
  elseif there == 'hash' then return ''
  else return 't' end
else redis.call('DEL', key) end
local ok, fault = pcall(function()
  if write(key, 4, {}) ~= true then error('its key is not free') end
  -- What the layout does not write itself stays.
  if kind(mark) == 'hash' then
    local old = redis.call('HGETALL', mark)
    for i = 1, #old, 2 do redis.call('HSETNX', key, old[i], old[i + 1]) end
  end
end)
if ok then return 'w' end
redis.pcall('DEL', key)
if kind(mark) == 'hash' then redis.pcall('RENAME', mark, key) else redis.pcall('DEL', mark) end
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
