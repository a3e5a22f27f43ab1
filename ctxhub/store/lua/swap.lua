-- Put a new value into a field of a hash, if it still has the one that was read; and say so.
--
-- KEYS  1 hash
-- ARGV  1 field   2 value that was read ('' for none)   3 new value ('' takes the field out)   4 lifetime of the hash, ms
--       5 channel of hints   6 what to tell there ('' for nothing)
-- Returns 1, or 0 if the value is another by now.
local hash, field, before, value = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
if (redis.call('HGET', hash, field) or '') ~= before then return 0 end
if value == '' then
  redis.call('HDEL', hash, field)
else
  redis.call('HSET', hash, field, value)
  redis.call('PEXPIRE', hash, ARGV[4])
end
if ARGV[6] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[6]) end
return 1
