-- Put an entry without its value or words in the place of one that is still there as it was read.
--
-- KEYS  1 context   2 timeline
-- ARGV  1 version   2 the entry as it was read   3 the entry without them
-- Returns 1, or 0 where it is not there, or another.
local base = tonumber(redis.call('HGET', KEYS[1], 'base') or '0')
local place = tonumber(ARGV[1]) - base - 1
if place < 0 or redis.call('LINDEX', KEYS[2], place) ~= ARGV[2] then return 0 end
redis.call('LSET', KEYS[2], place, ARGV[3])
return 1
