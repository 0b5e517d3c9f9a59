-- Takes back a hash that was written and whose id was not pushed.
-- KEYS[1]: the hash
-- KEYS[2]: its mark
-- Reply: 1; 0 if it has no mark
local before = redis.call('TYPE', KEYS[2]).ok
if before == 'none' then return 0 end
redis.call('DEL', KEYS[1])
if before == 'hash' then redis.call('RENAME', KEYS[2], KEYS[1]) else redis.call('DEL', KEYS[2]) end
return 1
