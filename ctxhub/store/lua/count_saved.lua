-- Count the questions that need not be asked, each once per interaction and name.
--
-- KEYS  1 saved     set of digests, lives as long as the customer
--       2 numbers   hash of a tenant's counters of one day
-- ARGV  1 lifetime of the set, ms   2 lifetime of the counters, ms   3 field to count in
--       4.. digests of interaction and name
-- Returns how many were new.
local fresh = redis.call('SADD', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if fresh > 0 then
  redis.call('HINCRBY', KEYS[2], ARGV[3], fresh)
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return fresh
