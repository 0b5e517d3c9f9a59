-- Finds the first of the given ids that is still in a list, and returns the ids behind it.
-- KEYS[1]: the list
-- ARGV[1]: the maximum number of ids to read
-- ARGV[2] and on: the ids to look for
-- Reply: the index of the first id read, and the ids; -1 and no ids if none of the given ids is in the list
for i = 2, #ARGV do
  local at = redis.call('LPOS', KEYS[1], ARGV[i])
  if at then return {at + 1, redis.call('LRANGE', KEYS[1], at + 1, at + ARGV[1])} end
end
return {-1, {}}
