-- Read what a reader is shown again, and note that he was in the tenant's audit trail, in one step.
--
-- Nothing is noted, and `load` has to be asked, unless the customer's document is the one that the caller has: only then
-- does he know beforehand what is shown. Not for a cluster: the trail is in another slot.
--
-- KEYS  1 context   2 document   3 timeline   4 what was noted in the trail (stream)
-- ARGV  1 commit whose document the caller has   2 how many of the newest events to bring
--       3, 4 the line to note, before and behind the version   5 the version that must stand ('' for any)
-- Returns { context as flat pairs, newest events, oldest first } or false where nothing was noted
local context, document, timeline, noted = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = redis.call('HMGET', context, 'commit', 'version', 'state')
if now[1] ~= ARGV[1] or now[3] ~= 'live' or (ARGV[5] ~= '' and now[2] ~= ARGV[5]) then return false end
if redis.call('EXISTS', document) == 0 then return false end
redis.call('XADD', noted, '*', 'e', ARGV[3] .. now[2] .. ARGV[4])
local recent = ARGV[2] ~= '0' and redis.call('LRANGE', timeline, '-' .. ARGV[2], -1) or {}
return { redis.call('HGETALL', context), recent }
