-- Erase all that a customer has in the slot, in one step, and let every process know.
--
-- KEYS  1 context   2 due   3 leases   4 operations   5.. every other key of the customer and its operations' records
--       then lists that ARGV refers to by position
-- ARGV  1 member (tenant, customer)   2 channel of hints   3 how many keys are the customer's, from the fourth on
--       number of list entries, then for each: position in KEYS, member
-- Returns how many keys there were.
local member = ARGV[1]
local gone = redis.call('DEL', KEYS[1])
for k = 4, 3 + tonumber(ARGV[3]) do gone = gone + redis.call('DEL', KEYS[k]) end
redis.call('ZREM', KEYS[2], member)
redis.call('ZREM', KEYS[3], member)
local at = 4
for _ = 1, tonumber(ARGV[at]) do
  redis.call('ZREM', KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2])
  at = at + 2
end
redis.call('PUBLISH', ARGV[2], member .. '\ngone')
return gone
