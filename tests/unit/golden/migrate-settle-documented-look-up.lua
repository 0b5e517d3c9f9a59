-- Says what becomes of claimed tasks.
-- KEYS[1]: the holding list
-- KEYS[2]: list of what is kept aside
-- ARGV[1]: 'drop', the task is deleted; 'forget', its id alone is dropped; 'aside', it is kept aside
-- ARGV[2] and on: ids, in the order in which they were claimed
-- Reply: how many were settled
local function drop(id)
  redis.call('DEL', 'asynq:t:' .. id)
  redis.call('HSET', 'asynq:t:' .. id, 'queue', 'inference.default')
end
local what = {drop = drop, forget = function() end, aside = function(id) redis.call('LPUSH', KEYS[2], id) end}
local settled = 0
for i = 2, #ARGV do
  -- Only an id that is still held: a task that came back under its old id is not touched by a late repetition.
  if redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then
    local ok, fault = pcall(what[ARGV[1]], ARGV[i])
    if not ok then
      redis.call('RPUSH', KEYS[1], ARGV[i])
      if type(fault) == 'table' then return fault end
      return redis.error_reply('ERR ' .. tostring(fault))
    end
    settled = settled + 1
  end
end
return settled
