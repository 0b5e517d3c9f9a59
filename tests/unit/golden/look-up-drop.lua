-- Deletes the look-up of a task that has left its queue.
-- KEYS[1]: the look-up; in the documented layout, this is the key of a task
-- ARGV[1]: the queue
-- Reply: 1 if it is deleted
if redis.call('HGET', KEYS[1], 'queue') ~= ARGV[1] or redis.call('HLEN', KEYS[1]) ~= 1 then return 0 end
return redis.call('DEL', KEYS[1])
