-- Puts claimed ids back into the pending list, the newest first, so that the oldest is consumed first.
-- KEYS[1]: the list that holds them
-- KEYS[2]: the pending list
-- ARGV[1]: the number of oldest ids to keep
-- ARGV[2]: the maximum number of ids to put back
-- Reply: the number of ids put back
redis.call('LLEN', KEYS[2])
local moved = 0
while moved < tonumber(ARGV[2]) and redis.call('LLEN', KEYS[1]) > tonumber(ARGV[1]) do
  redis.call('RPUSH', KEYS[2], redis.call('LINDEX', KEYS[1], 0))
  redis.call('LPOP', KEYS[1])
  moved = moved + 1
end
return moved
