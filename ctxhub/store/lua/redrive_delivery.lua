-- Queue a dead letter again, from its beginning, unless it is one no longer.
--
-- KEYS  1 undelivered   2 deliveries   3 order   4 next   5 waiting
-- ARGV  1 delivery as it stands there   2 delivery as it is queued   3 field in deliveries: endpoint, version
--       4 member: customer, version   5 now, ms
-- Returns 1, or 0 where it was erased, or queued again, meanwhile.
local undelivered, deliveries, order, next_, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if redis.call('ZREM', undelivered, ARGV[1]) == 0 then return 0 end
if redis.call('HSETNX', deliveries, ARGV[3], ARGV[2]) == 0 then return 0 end
redis.call('ZADD', order, 0, ARGV[3])
redis.call('ZADD', waiting, ARGV[5], ARGV[4])
redis.call('ZADD', next_, ARGV[5], ARGV[4])
return 1
