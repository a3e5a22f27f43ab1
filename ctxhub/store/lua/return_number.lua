-- Take back the numbers that were lent to an offer; those that another has by now stay lent.
--
-- KEYS  1 lent     hash: number -> handoff, until when in ms
-- ARGV  1 handoff
-- Returns how many were taken back.
local lent, count = KEYS[1], 0
local pairs_ = redis.call('HGETALL', lent)
for place = 1, #pairs_, 2 do
  if string.match(pairs_[place + 1], '^(%S+) ') == ARGV[1] then
    count = count + redis.call('HDEL', lent, pairs_[place])
  end
end
return count
