-- Count one try in a window that begins with the first.
--
-- KEYS  1 tries   string: how many so far
-- ARGV  1 length of the window, ms
-- Returns how many there were, this one included, and how many ms are left of the window.
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return { count, redis.call('PTTL', KEYS[1]) }
