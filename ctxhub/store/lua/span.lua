-- Read some of a customer's timeline by version.
--
-- KEYS  1 context   2 timeline
-- ARGV  1 first version   2 last version
-- Returns { "1" (the customer is here) or "0", how many versions are before the first entry here, entries, data key };
--         the first entry is that of the first version, or of the first one here.
local head = redis.call('HMGET', KEYS[1], 'version', 'base', 'key')
if not head[1] then return { '0', 0, {}, '' } end
local key = head[3] or ''
local base = tonumber(head[2] or '0')
local first, last = tonumber(ARGV[1]) - base, tonumber(ARGV[2]) - base
if last < 1 then return { '1', base, {}, key } end
return { '1', base, redis.call('LRANGE', KEYS[2], math.max(first, 1) - 1, last - 1), key }
