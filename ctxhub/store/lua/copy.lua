-- Read what the archive does not have yet of one customer, as it stands at one instant.
--
-- KEYS  1 context   2 document   3 timeline
-- ARGV  1 version that the archive has (0: nothing)   2 commit of the document it has   3 most entries to bring
-- Returns { context as flat pairs (empty: no such customer), document or false (it has that one),
--           version of the first entry, entries }; the first entry is the last that the archive should have already.
local context, document, timeline = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call('HGETALL', context)
if #head == 0 then return { head, false, 0, {} } end
local fields = {}
for i = 1, #head, 2 do fields[head[i]] = head[i + 1] end
local base = tonumber(fields.base or '0')
local first = math.max(tonumber(ARGV[1]), base + 1)
local entries = redis.call('LRANGE', timeline, first - base - 1, first - base - 1 + tonumber(ARGV[3]))
local bytes = fields.commit ~= ARGV[2] and redis.call('GET', document)
return { head, bytes, first, entries }
