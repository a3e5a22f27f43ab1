-- Count the questions that need not be asked, each once per interaction and name.
--
-- KEYS  1 saved     set of digests, lives as long as the customer
--       2 numbers   hash of a tenant's counters of one day
--       3 total     hash of a tenant's counters of all days
-- ARGV  1 lifetime of the set, ms   2 lifetime of the counters, ms   3 field to count in
--       4.. digests of interaction and name
-- Returns how many were new.
local fresh = redis.call('SADD', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if fresh > 0 then
  for at = 2, 3 do
    redis.call('HINCRBY', KEYS[at], ARGV[3], fresh)
    redis.call('PEXPIRE', KEYS[at], ARGV[2])
  end
end
return fresh
