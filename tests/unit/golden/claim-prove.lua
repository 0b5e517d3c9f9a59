-- Whether a claim is still the newest one. If the server has lost it, it is noted again.
-- KEYS[1]: as KEYS[1] of the script that takes it
-- ARGV[1]: the claim
-- Reply: the newest claim
local newest = redis.call('HGET', KEYS[1], 'claim')
local function number(text) return tonumber(string.match(text, '^%d+')) end
if newest and (newest == ARGV[1] or number(newest) >= number(ARGV[1])) then return newest end
redis.call('HSET', KEYS[1], 'claim', ARGV[1])
return ARGV[1]
