-- Keeps of a set only some ids.
-- KEYS[1]: the set
-- ARGV: the ids
-- Reply: how many are left
local kept = {}
for i = 1, #ARGV do
  if redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 then kept[#kept + 1] = ARGV[i] end
end
redis.call('DEL', KEYS[1])
for i = 1, #kept do redis.call('SADD', KEYS[1], kept[i]) end
return #kept
