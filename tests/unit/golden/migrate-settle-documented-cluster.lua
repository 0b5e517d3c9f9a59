-- Settles claimed tasks.
-- KEYS[1]: the holding list
-- KEYS[2]: the list of tasks kept aside
-- ARGV[1]: 'drop': delete the task; 'forget': drop only its id; 'aside': keep it aside
-- ARGV[2] and on: ids, in the order in which they were claimed
-- Reply: the number of settled tasks
local function drop(id)
end
local what = {drop = drop, forget = function() end, aside = function(id) redis.call('LPUSH', KEYS[2], id) end}
local settled = 0
for i = 2, #ARGV do
  -- Only an id that is still held: a late repetition must not touch a task that came back under its old id.
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
