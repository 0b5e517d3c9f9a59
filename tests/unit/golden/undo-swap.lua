-- Puts the ids that stay in the place of the queue, if these are still its ids. Meanwhile, others may have pushed on
-- the left, and consumers may have taken on the right.
-- KEYS[1]: the queue's pending list
-- KEYS[2]: a list of the ids that stay
-- KEYS[3]: a list of the ids of the job, each as NUMBER:ID
-- KEYS[4]: the same list once they are taken
-- KEYS[5]: a key for the queue as it was, which is deleted
-- ARGV[1]: the first id that was copied
-- ARGV[2]: how many ids were copied
-- Reply: the number of ids taken; -1 if the copy is no longer one of the queue, and nothing is done
local first, copied = ARGV[1], tonumber(ARGV[2])
local kept, mine = redis.call('LLEN', KEYS[2]), redis.call('LLEN', KEYS[3])
if kept + mine ~= copied or redis.call('EXISTS', KEYS[4]) == 1 then return -1 end
local length = redis.call('LLEN', KEYS[1])
local pushed = redis.call('LPOS', KEYS[1], first)
if not pushed then return -1 end
local left = length - pushed
if left > copied then return -1 end
local function number(at) return tonumber(string.match(redis.call('LINDEX', KEYS[3], at), '^[0-9]+')) end
-- How many ids of the job consumers have not taken: those with a number below left.
local low, high = 0, mine
while low < high do
  local middle = math.floor((low + high) / 2)
  if number(middle) < left then low = middle + 1 else high = middle end
end
local stay = left - low
-- The ids at the right end must be the same, one by one. With their number, this shows that nobody has removed an id
-- elsewhere, and that no worker has given back tasks that it had taken.
local width = math.min(left, 5000)
local queue = redis.call('LRANGE', KEYS[1], -width, -1)
local others = width > 0 and stay > 0 and redis.call('LRANGE', KEYS[2], math.max(stay - width, 0), stay - 1) or {}
local own = width > 0 and low > 0 and redis.call('LRANGE', KEYS[3], math.max(low - width, 0), low - 1) or {}
local i, j = #others, #own
for at = width, 1, -1 do
  local index, id = string.match(own[j] or '', '^([0-9]+):(.*)$')
  if tonumber(index) == left - width + at - 1 then
    j = j - 1
  else
    id = others[i]
    i = i - 1
  end
  if queue[at] ~= id then return -1 end
end
if low == 0 then return 0 end
if stay == 0 then redis.call('DEL', KEYS[2]) else redis.call('LTRIM', KEYS[2], 0, stay - 1) end
redis.call('LTRIM', KEYS[3], 0, low - 1)
for stop = pushed, 1, -5000 do
  local new, reverse = redis.call('LRANGE', KEYS[1], math.max(stop - 5000, 0), stop - 1), {}
  for at = #new, 1, -1 do reverse[#reverse + 1] = new[at] end
  redis.call('LPUSH', KEYS[2], unpack(reverse))
end
redis.call('RENAME', KEYS[1], KEYS[5])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[1]) end
redis.call('RENAME', KEYS[3], KEYS[4])
redis.call('UNLINK', KEYS[5])
return low
