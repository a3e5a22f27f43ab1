-- Note in a tenant's audit trail that what it discloses has changed, unless another process has noted that.
--
-- KEYS  1 disclosed (string)   2 new (stream)
-- ARGV  1 what was disclosed as the caller looked ('' for nothing noted yet)   2 what is now
--       3 the entry ('' for none: what is noted first is no change)
-- Returns 1, or 0 where somebody else was here meanwhile: nothing is written then.
local disclosed, new = KEYS[1], KEYS[2]
if (redis.call('GET', disclosed) or '') ~= ARGV[1] then return 0 end
redis.call('SET', disclosed, ARGV[2])
if ARGV[3] ~= '' then redis.call('XADD', new, '*', 'e', ARGV[3]) end
return 1
