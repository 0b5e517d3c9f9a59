-- What stands in a list behind the first of some ids that is still there.
-- KEYS[1]: the list
-- ARGV[1]: how many to read at most
-- ARGV[2] and on: ids to look for
-- Reply: index of the first id read, and the ids; -1 and none where none of those looked for is there
for i = 2, #ARGV do
  local at = redis.call('LPOS', KEYS[1], ARGV[i])
  if at then return {at + 1, redis.call('LRANGE', KEYS[1], at + 1, at + ARGV[1])} end
end
return {-1, {}}
