-- Gives a run of a shard the newest claim on the shard, and reads the ledger: from then on, no other run changes it.
-- KEYS[1]: the claim: a hash with
--          claim: the number, a blank, and who has it: the run of the loader, a colon, the process
--          before: the batches that were in when that run of the loader took its first claim
--          others: all of that run of the loader who have had it, each after a blank
-- KEYS[2]: the bitmap of the batches that are in
-- KEYS[3]: the CRC-32 of each batch
-- KEYS[4]: the hash from batch to skipped positions
-- ARGV[1]: who takes it
-- Reply: the claim; the field others; the field before; the three keys of the ledger
local number, holder = string.match(redis.call('HGET', KEYS[1], 'claim') or '', '^(%d+) (.*)$')
local claim = string.format('%d %s', (tonumber(number) or 0) + 1, ARGV[1])
local batches = redis.call('GET', KEYS[2]) or ''
local before, others = batches, ''
if holder and string.match(holder, '^[^:]*') == string.match(ARGV[1], '^[^:]*') then
  -- The server may have lost them, and the claim was noted again: then what is in counts for this run of the loader.
  before, others = redis.call('HGET', KEYS[1], 'before') or '', redis.call('HGET', KEYS[1], 'others') or ''
  if not string.find(others .. ' ', ' ' .. holder .. ' ', 1, true) then others = others .. ' ' .. holder end
end
redis.call('HSET', KEYS[1], 'claim', claim, 'before', before, 'others', others)
return {claim, others, before, batches, redis.call('GET', KEYS[3]) or '', redis.call('HGETALL', KEYS[4])}
