-- Copies a part of a queue: the ids that stay to one list, those of the job to another, each with its number.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: a list of the ids that stay
-- KEYS[3]: a list of the ids of the job, each as NUMBER:ID
-- ARGV[1]: where the last id that was copied may be, counted from 1; 0 for none
-- ARGV[2]: that id
-- ARGV[3]: how many ids were copied
-- ARGV[4]: how many of the following ones the caller has looked at
-- ARGV[5]: the last of these; '' for none
-- ARGV[6]: how many of the ones after these to return
-- ARGV[7] and on: those of them that are the job's
-- Reply: new values for ARGV[1] to ARGV[3], the following ids, and the first one that was copied now ('' if none was);
--        or -1 if the copy is no longer one of the queue
local position, anchor, copied, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('LLEN', KEYS[2]) + redis.call('LLEN', KEYS[3]) ~= copied then return {-1} end
local from = math.max(position - 1, 0)
local window = redis.call('LRANGE', KEYS[1], from, from + count + 2000)
-- Others push on the left, so elements only move to the right, unless somebody removes some on the left.
local start = 1
if position > 0 then
  while window[start] and window[start] ~= anchor do start = start + 1 end
  if not window[start] then return {-1, position, anchor, {}} end
  start = start + 1
  position = from + start - 1
end
local first = ''
if ARGV[5] ~= '' then
  local stop = start + count - 1
  while window[stop] and window[stop] ~= ARGV[5] do stop = stop + 1 end
  -- Consumers have taken it: what the caller has looked at is not copied now, but looked at again.
  if window[stop] then
    local wanted, kept, taken = {}, {}, {}
    for i = 7, #ARGV do wanted[ARGV[i]] = true end
    for i = start, stop do
      if wanted[window[i]] then
        taken[#taken + 1] = (copied + i - start) .. ':' .. window[i]
      else
        kept[#kept + 1] = window[i]
      end
    end
    for i = 1, #kept, 5000 do redis.call('RPUSH', KEYS[2], unpack(kept, i, math.min(i + 4999, #kept))) end
    for i = 1, #taken, 5000 do redis.call('RPUSH', KEYS[3], unpack(taken, i, math.min(i + 4999, #taken))) end
    copied, first = copied + stop - start + 1, window[start]
    position, anchor = from + stop, window[stop]
  end
end
return {position, anchor, copied, redis.call('LRANGE', KEYS[1], position, position + ARGV[6] - 1), first}
