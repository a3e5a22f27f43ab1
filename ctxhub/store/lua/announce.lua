-- Note that a call is to come from a number, beside whatever else was announced from it.
--
-- KEYS  1 announced   hash: handoff -> until when in ms
-- ARGV  1 handoff  2 until, ms  3 for how long, ms
-- Returns how many stand announced from the number.
local announced = KEYS[1]
redis.call('HSET', announced, ARGV[1], ARGV[2])
if redis.call('PTTL', announced) < tonumber(ARGV[3]) then redis.call('PEXPIRE', announced, ARGV[3]) end
return redis.call('HLEN', announced)
