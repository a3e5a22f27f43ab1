-- Put a data key in the place of the same one under another epoch.
--
-- KEYS  1 context
-- ARGV  1 the data key as it was read   2 the same, wrapped anew
-- Returns 1, or 0 where it is no longer so.
if redis.call('HGET', KEYS[1], 'key') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'key', ARGV[2])
return 1
