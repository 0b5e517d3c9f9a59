-- Moves ids from the pending list to the holding list, until enough are claimed and not handed out yet.
-- KEYS[1]: the pending list
-- KEYS[2]: the holding list
-- ARGV[1]: the number of ids to hand out
-- ARGV[2]: the number of ids that are handed out already
-- Reply: the ids, the newest first
local short = ARGV[1] + ARGV[2] - redis.call('LLEN', KEYS[2])
for i = 1, short do
  if not redis.call('RPOPLPUSH', KEYS[1], KEYS[2]) then break end
end
return redis.call('LRANGE', KEYS[2], -(ARGV[1] + ARGV[2]), -(ARGV[2] + 1))
