-- Read what a decision about one customer needs, in one step.
--
-- KEYS  1 context     hash: version, document_version, commit, state, i:<interaction>
--       2 document    string
--       3 timeline    list of entries, the first of version 1
--       4 events      hash: digest of event_id -> version:fingerprint
--       5 operation   string: record of an Idempotency-Key (any key of the slot where there is none)
-- ARGV  1 commit whose document the caller has ('' for none)
--       2 how many of the newest events to bring
--       3 "1" where KEYS[5] is an operation's record
--       4.. digests of event ids to look up
-- Returns { context as flat pairs (empty: no such customer), document or false (caller has it; if not, its time is over)
--           or '' (the caller has it, and its time is over),
--           newest events, oldest first, what is known of each event id, operation's record or false }
local context, document, timeline, events, operation = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local head = redis.call('HGETALL', context)
local record = ARGV[3] == '1' and redis.call('GET', operation)
if #head == 0 then
  return { head, false, {}, {}, record }
end
local known = false
for i = 1, #head, 2 do
  if head[i] == 'commit' then known = head[i + 1] == ARGV[1] end
end
local bytes = not known and redis.call('GET', document)
if known and redis.call('EXISTS', document) == 0 then bytes = '' end
local recent = {}
if ARGV[2] ~= '0' then
  recent = redis.call('LRANGE', timeline, '-' .. ARGV[2], -1)
end
local seen = {}
if #ARGV > 3 then
  seen = redis.call('HMGET', events, unpack(ARGV, 4))
end
return { head, bytes, recent, seen, record }
