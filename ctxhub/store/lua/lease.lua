-- Take or keep the relay of one partition; each new holder gets a higher fence.
--
-- KEYS  1 relay   hash: holder, until, fence
-- ARGV  1 holder   2 now, ms   3 how long, ms ("0" gives it up)
-- Returns the fence, or 0 while somebody else holds it.
local relay, holder, now, span = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', relay, 'holder', 'until', 'fence')
local mine = held[1] == holder
if not mine and held[2] and now < tonumber(held[2]) then return 0 end
if span == 0 then
  if mine then redis.call('HSET', relay, 'until', 0) end
  return 0
end
local fence = tonumber(held[3] or '0')
if not mine then fence = fence + 1 end
redis.call('HSET', relay, 'holder', holder, 'until', now + span, 'fence', fence)
return fence
