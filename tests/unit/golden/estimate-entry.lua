-- Measures a list or a sorted set of ids, and deletes it again.
-- KEYS[1]: a scratch key
-- ARGV[1]: ZADD or LPUSH
-- ARGV[2]: the number of entries
-- ARGV[3]: the beginning of their names
-- Reply: its size in bytes
local function used()
  local told, info = pcall(redis.call, 'INFO', 'memory')
  return told and tonumber(string.match(info, 'used_memory:(%d+)')) or 0
end
local function usage(key)
  local bytes = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
  return bytes or 0
end

local ok, fault = pcall(function()
  for i = 1, ARGV[2] do
    local id = ARGV[3] .. string.format('%05d', i)
    if ARGV[1] == 'ZADD' then redis.call('ZADD', KEYS[1], 1700000000 + i, id) else redis.call('LPUSH', KEYS[1], id) end
  end
  return usage(KEYS[1])
end)
redis.pcall('DEL', KEYS[1])
if ok or type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
