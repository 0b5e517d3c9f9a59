-- Removes all ids from a set except the given ones.
-- KEYS[1]: the set
-- ARGV: the ids to keep
-- Reply: the number of ids left
local kept = {}
for i = 1, #ARGV do
  if redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 then kept[#kept + 1] = ARGV[i] end
end
redis.call('DEL', KEYS[1])
for i = 1, #kept do redis.call('SADD', KEYS[1], kept[i]) end
return #kept
