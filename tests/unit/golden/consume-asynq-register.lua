-- Writes what a server does (writeServerStateCmd).
-- KEYS[1]: the server
-- KEYS[2]: its tasks in service
-- ARGV[1]: seconds after which both end
-- ARGV[2]: the server; then id and description of each task in service
-- Reply: 1
redis.call('SETEX', KEYS[1], ARGV[1], ARGV[2])
redis.call('DEL', KEYS[2])
for i = 3, #ARGV - 1, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
