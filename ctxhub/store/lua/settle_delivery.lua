-- Note what came of an attempt, unless the delivery is not any more what was tried; let the one behind it go next.
--
-- KEYS  1 deliveries   2 order   3 next   4 waiting   5 where it goes when it is over: delivered or undelivered
-- ARGV  1 field in deliveries: endpoint, version   2 delivery as it was tried   3 'again' or 'over'
--       4 delivery as it is now   5 when it is tried again or was over, ms   6 member: customer, version
--       7 how many are kept when they are over   8 for how long, ms
-- Returns 1, or 0 where somebody else has settled or erased it.
local deliveries, order, next_, waiting, over = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if redis.call('HGET', deliveries, ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == 'again' then
  redis.call('HSET', deliveries, ARGV[1], ARGV[4])
  redis.call('ZADD', next_, ARGV[5], ARGV[6])
  return 1
end
redis.call('HDEL', deliveries, ARGV[1])
redis.call('ZREM', order, ARGV[1])
redis.call('ZREM', next_, ARGV[6])
redis.call('ZREM', waiting, ARGV[6])
redis.call('ZADD', over, ARGV[5], ARGV[4])
redis.call('ZREMRANGEBYRANK', over, 0, -1 - tonumber(ARGV[7]))
redis.call('ZREMRANGEBYSCORE', over, '-inf', ARGV[5] - ARGV[8])
redis.call('PEXPIRE', over, ARGV[8])

if redis.call('HLEN', deliveries) ~= redis.call('ZCARD', order) then  -- a hub from before there was an order has been here
  redis.call('DEL', order)
  for _, field in ipairs(redis.call('HKEYS', deliveries)) do redis.call('ZADD', order, 0, field) end
end
local mine = string.match(ARGV[1], '^(.-\n)')
local first = redis.call('ZRANGE', order, '[' .. mine, '(' .. mine .. ':', 'BYLEX', 'LIMIT', 0, 1)[1]
if first then
  local customer = string.match(ARGV[6], '^(.-\n)')
  redis.call('ZADD', next_, 'NX', ARGV[5], customer .. string.sub(first, #mine + 1))
end
return 1
