-- Begin to erase a customer: from now on nobody finds it or writes to it, and what is left undone is due at once.
--
-- KEYS  1 context   2 due
-- ARGV  1 a commit that nobody knows, so that what is being decided fails   2 member (tenant, customer)   3 now, ms
-- Returns 1, or 0 where there is no such customer.
local context = KEYS[1]
if redis.call('EXISTS', context) == 0 then return 0 end
redis.call('HSET', context, 'state', 'forgetting', 'commit', ARGV[1])
redis.call('PERSIST', context)
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
return 1
