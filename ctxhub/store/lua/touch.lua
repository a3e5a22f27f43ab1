-- Write a customer's version as it is, so that whoever waits for replicas after this waits for all that came before it.
--
-- KEYS  1 context     hash: version, …
-- ARGV  none
-- Returns 1, or 0 where there is no such customer.
local context = KEYS[1]
if redis.call('HEXISTS', context, 'version') == 0 then return 0 end
redis.call('HINCRBY', context, 'version', 0)
return 1
