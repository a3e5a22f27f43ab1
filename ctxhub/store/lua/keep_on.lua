-- Keep a customer until some time, unless it is noted to be kept even longer; one who is not here has no lease.
--
-- KEYS  1 context   2 leases
-- ARGV  1 member (tenant, customer)   2 until when, ms
-- Returns 1, or 0 for one who is not here.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
redis.call('ZADD', KEYS[2], 'XX', 'GT', ARGV[2], ARGV[1])
return 1
