-- Finds active tasks whose lease has ended (listLeaseExpiredCmd).
-- KEYS[1]: the leases
-- ARGV[1]: Unix time before which it has ended
-- ARGV[2]: what the keys of tasks begin with
-- Reply: ids and messages in turn
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])) do
  local message = redis.call('HGET', ARGV[2] .. id, 'msg')
  if message then
    found[#found + 1] = id
    found[#found + 1] = message
  end
end
return found
