-- Replace a customer's context, append its events, note them in the outbox and set what is due; unless it changed.
--
-- KEYS  1 context  2 document  3 timeline  4 events  5 outbox  6 due  7 operation (any key of the slot where none)
--       8 leases   9 operations   10.. lists (sorted sets) and look-ups (strings) that ARGV refers to by position
-- ARGV  1 commit the caller decided on ('' for a customer who is not there yet)   2 commit of the new document
--       3 new document ('' if unchanged)   4 now, ms   5 lifetime, ms ("0": no end, an archive is kept)
--       6 member (tenant, customer)
--       7 channel of hints   8 when the next thing is due, ms ('' for never)   9 the operation's record ('' for none)
--      10 lifetime of that record, ms   11 state of the customer
--      12 when the lease ends, ms ('' while work pins it, "-" to leave it as it is: nobody was heard)
--      13 version that must still stand ('' for any)
--      14 number of events, then for each: digest of its id, fingerprint, bytes, level, channel, marks
--         number of interactions, then for each: id, "fence party level till channel" ('' where it is no longer open),
--           "" (nobody spoke), "t" (somebody told something) or "h" (its holder spoke)
--         number of list entries, then for each: position in KEYS, member, score ('' to take it out)
--         number of look-ups, then for each: position in KEYS, value, lifetime in ms
--         number of entries to write anew, then for each: version, digest of its event's id, entry; from now on any
--           content is taken for what that event said (fingerprint `*`)
--         position in KEYS of the partition's router and the fence that must still stand there ('' and '' for any)
--         data key that the caller sealed nothing with any more, and the one it sealed with instead ('' as before)
--         "1" where a legal hold lets nothing lapse, "0" where none does, '' where that is as before
-- Returns { 'ok', version, document_version } or { 'changed' } or { 'raced' } (an event id is known by now)
--      or { 'replayed' } (the operation was done before) or { 'fenced' } (another routes by now)
-- Nothing is written but after ok.
local context, document, timeline, events, outbox, due, operation, leases =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local now, lifetime, member, lease = ARGV[4], ARGV[5], ARGV[6], ARGV[12]

local head = redis.call('HMGET', context, 'commit', 'version', 'document_version')
if head[1] and ARGV[1] == '' and redis.call('EXISTS', document) == 0 then
  -- What Redis let go of is somebody new; what stood beside it is of no use to anybody.
  redis.call('DEL', context, timeline, events)
  head = {}
end
if (head[1] or '') ~= ARGV[1] then return { 'changed' } end
if ARGV[9] ~= '' and redis.call('EXISTS', operation) == 1 then return { 'replayed' } end
local router, fence = tonumber(ARGV[#ARGV - 4]), ARGV[#ARGV - 3]
if router and redis.call('HGET', KEYS[router], 'fence') ~= fence then return { 'fenced' } end
local old_key, new_key, held = ARGV[#ARGV - 2], ARGV[#ARGV - 1], ARGV[#ARGV]
if new_key ~= '' and (redis.call('HGET', context, 'key') or '') ~= old_key then return { 'changed' } end
if ARGV[13] ~= '' and ARGV[13] ~= (head[2] or '0') then return { 'changed' } end
local version = tonumber(head[2] or '0')
local before = version

local at = 14
local function following()
  at = at + 1
  return ARGV[at]
end

local count = tonumber(ARGV[at])
for n = 1, count do
  if redis.call('HEXISTS', events, ARGV[at + 1 + (n - 1) * 6]) == 1 then return { 'raced' } end
end
for _ = 1, count do
  local digest, print, bytes = following(), following(), following()
  local level, channel, marks = following(), following(), following()
  version = version + 1
  redis.call('RPUSH', timeline, table.concat({ level, channel, marks, bytes }, ' '))
  redis.call('HSET', events, digest, version .. ':' .. print)
end

local document_version = head[3] or '0'
if ARGV[3] ~= '' then
  document_version = tostring(version)
  redis.call('SET', document, ARGV[3])
  redis.call('HSET', context, 'commit', ARGV[2])
end
redis.call('HSET', context, 'version', version, 'document_version', document_version, 'state', ARGV[11])

for _ = 1, tonumber(following()) do
  local interaction, standing, spoke = following(), following(), following()
  local field = 'i:' .. interaction
  if standing == '' then
    redis.call('HDEL', context, field)
  else
    local last, held = now, '0'
    local old = redis.call('HGET', context, field)
    if old then
      local fence, was, heard = string.match(old, '^(%d+) .* (%d+) (%d+)$')
      if spoke == '' then last = was end
      if fence == string.match(standing, '^%d+') then held = heard end
    end
    if spoke == 'h' then held = now end
    redis.call('HSET', context, field, standing .. ' ' .. last .. ' ' .. held)
  end
end
for _ = 1, tonumber(following()) do
  local position, entry, score = tonumber(following()), following(), following()
  if score == '' then
    redis.call('ZREM', KEYS[position], entry)
  else
    redis.call('ZADD', KEYS[position], score, entry)
  end
end
for _ = 1, tonumber(following()) do
  local position, value, px = tonumber(following()), following(), following()
  redis.call('SET', KEYS[position], value, 'PX', px)
end
local base = tonumber(redis.call('HGET', context, 'base') or '0')
for _ = 1, tonumber(following()) do
  local place, digest, entry = tonumber(following()), following(), following()
  if place > base then redis.call('LSET', timeline, place - base - 1, entry) end
  redis.call('HSET', events, digest, place .. ':*')
end

if ARGV[8] == '' then
  redis.call('ZREM', due, member)
else
  redis.call('ZADD', due, ARGV[8], member)
end
if ARGV[9] ~= '' then
  redis.call('SET', operation, ARGV[9], 'PX', ARGV[10])
  redis.call('ZREMRANGEBYSCORE', KEYS[9], '-inf', now)
  redis.call('ZADD', KEYS[9], tonumber(now) + tonumber(ARGV[10]), string.match(operation, '[^:]+$'))
  redis.call('PEXPIRE', KEYS[9], ARGV[10])
end
if version > before then
  redis.call('XADD', outbox, '*', 'c', member, 'f', before + 1, 'l', version)
  redis.call('PUBLISH', ARGV[7], member .. '\n' .. version)
end
if not head[1] then redis.call('HSET', context, 'born', ARGV[2]) end
if new_key ~= '' then redis.call('HSET', context, 'key', new_key) end
if held == '1' then
  redis.call('HSET', context, 'hold', 1)
elseif held == '0' then
  redis.call('HDEL', context, 'hold')
end
if lifetime ~= '0' and redis.call('HEXISTS', context, 'hold') == 1 then
  for k = 1, 4 do redis.call('PERSIST', KEYS[k]) end
elseif lifetime ~= '0' then
  redis.call('PEXPIRE', context, 2 * lifetime)  -- so long it is known that somebody was there
  for k = 2, 4 do redis.call('PEXPIRE', KEYS[k], lifetime) end
elseif lease ~= '-' then
  redis.call('HSET', context, 'last', now)
  if lease == '' then
    redis.call('ZREM', leases, member)
  else
    redis.call('ZADD', leases, lease, member)
  end
end
return { 'ok', tostring(version), document_version }
