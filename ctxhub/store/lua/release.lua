-- Forget a customer whom the archive has, unless something happened since; what is due of it wakes the hub as before.
--
-- KEYS  1 context   2 document   3 timeline   4 events   5 saved   6 leases
-- ARGV  1 version and 2 commit that the archive has   3 member (tenant, customer)
-- Returns 1, or 0 where it is no longer so.
local head = redis.call('HMGET', KEYS[1], 'version', 'commit')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('ZREM', KEYS[6], ARGV[3])
return 1
