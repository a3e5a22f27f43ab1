-- Add events to a customer's timeline that no decision depends on; all or nothing, and never in conflict with anybody.
--
-- KEYS  1 context  2 document  3 timeline  4 events  5 outbox  6 operation (any key of the slot where there is none)
--       7 operations
-- ARGV  1 now, ms   2 lifetime, ms ("0": no end, an archive is kept)   3 member (tenant, customer)   4 channel of hints
--       5 fingerprint of the request ('' without an Idempotency-Key)   6 lifetime of its record, ms
--       7 version that must still stand ('' for any)
--       8 channels whose interactions may be told of, each with a comma before and after ('' for all)
--       9.. for each event: digest of its id, fingerprint, interaction or '', fence or '' or '-' (does not speak),
--           "1" if it reports what was already said, party, level where it has no interaction, marks, bytes
-- Returns { 'ok', version, document_version, flags, v1, v2, … }: of each event the version, and in flags
--         "0" new, "1" seen before, "2" new and out of turn; of a repeated request those of the first time
--      or { 'unknown' }, { 'state', state }, { 'key_reused' }, { 'event_id_reused', n }, { 'not_open', n },
--         { 'other_channel', n, its channel }, { 'not_the_holder', n, fence, party of the holder }, { 'changed' }; nothing is written then
-- A fingerprint `*` stands for a content that is not kept: any is taken for the same.
local context, document, timeline, events, outbox, operation = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now, lifetime, keyed, channels = tonumber(ARGV[1]), ARGV[2], ARGV[5], ARGV[8]

local head = redis.call('HMGET', context, 'version', 'document_version', 'state', 'hold')
if not head[1] then return { 'unknown' } end
if head[3] == 'forgetting' then return { 'state', head[3] } end
if lifetime ~= '0' and redis.call('EXISTS', document) == 0 then return { 'state', 'expired' } end
local record = keyed ~= '' and redis.call('GET', operation)
if record and string.sub(record, 1, #keyed) ~= keyed then return { 'key_reused' } end
if not record and ARGV[7] ~= '' and ARGV[7] ~= head[1] then return { 'changed' } end

local function activity_of(interaction)
  local text = redis.call('HGET', context, 'i:' .. interaction)
  if not text then return nil end
  local parts = {}
  for part in string.gmatch(text, '%S+') do parts[#parts + 1] = part end
  return { fence = parts[1], party = parts[2], level = parts[3], till = tonumber(parts[4]),
    channel = parts[5], last = parts[6], held = parts[7] }
end

local first = 9
local count = (#ARGV - first + 1) / 9
local versions, flags, activities, seen = {}, {}, {}, {}
for n = 1, count do
  local at = first + (n - 1) * 9
  local digest, print, interaction, fence = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local known = seen[digest] or redis.call('HGET', events, digest)
  flags[n] = '0'
  if known then
    local version, before = string.match(known, '^(%d*):(.*)$')
    if before ~= print and before ~= '*' then return { 'event_id_reused', n } end
    flags[n], versions[n] = '1', version
  elseif head[3] ~= 'live' then
    return { 'state', head[3] }
  elseif interaction ~= '' then
    local activity = activities[interaction] or activity_of(interaction)
    if not activity or string.sub(activity.channel, -1) == '!' then return { 'not_open', n } end
    if channels ~= '' and not string.find(channels, ',' .. activity.channel .. ',', 1, true) then
      return { 'other_channel', n, activity.channel }
    end
    activities[interaction] = activity
    if fence ~= '-' and fence ~= activity.fence then
      if ARGV[at + 4] ~= '1' then return { 'not_the_holder', n, activity.fence, activity.party } end
      if fence ~= '' or ARGV[at + 5] ~= activity.party then flags[n] = '2' end
    end
  end
  if not known then seen[digest] = ':' .. print end
end

local said = table.concat(flags)
if not string.find(said, '[^1]') then
  -- Nothing is new, and yet it is written: replicas are waited for as far as the same connection has written.
  redis.call('HSET', context, 'version', head[1])
end
if record and not string.find(said, '[^1]') then
  return { 'ok', head[1], head[2], string.match(record, '"flags":"(%d*)"'), unpack(versions) }
end

local version, before = tonumber(head[1]), tonumber(head[1])
local own = {}
for n = 1, count do
  local at = first + (n - 1) * 9
  local digest, print, interaction, fence = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if flags[n] == '1' then
    versions[n] = versions[n] ~= '' and versions[n] or own[digest]
  else
    version = version + 1
    local level = ARGV[at + 6]
    local activity = activities[interaction]
    if activity then
      level = now < activity.till and activity.level or '0'
      activity.last = ARGV[1]
      if fence ~= '-' and fence == activity.fence then activity.held = ARGV[1] end
    end
    local channel = activity and activity.channel or ''
    local marks = ARGV[at + 7]
    if flags[n] == '2' then marks = marks == '' and 'out_of_turn' or marks .. ',out_of_turn' end
    redis.call('RPUSH', timeline, table.concat({ level, channel, marks, ARGV[at + 8] }, ' '))
    redis.call('HSET', events, digest, version .. ':' .. print)
    own[digest] = tostring(version)
    versions[n] = tostring(version)
  end
end

if version > before then
  local changes = { 'version', version }
  for interaction, a in pairs(activities) do
    changes[#changes + 1] = 'i:' .. interaction
    changes[#changes + 1] = table.concat({ a.fence, a.party, a.level, a.till, a.channel, a.last, a.held }, ' ')
  end
  if lifetime == '0' then
    changes[#changes + 1] = 'last'
    changes[#changes + 1] = ARGV[1]
  end
  redis.call('HSET', context, unpack(changes))
  redis.call('XADD', outbox, '*', 'c', ARGV[3], 'f', before + 1, 'l', version)
  if lifetime ~= '0' and not head[4] then
    redis.call('PEXPIRE', context, 2 * lifetime)
    for k = 2, 4 do redis.call('PEXPIRE', KEYS[k], lifetime) end
  end
  redis.call('PUBLISH', ARGV[4], ARGV[3] .. '\n' .. version)
end
if keyed ~= '' then
  redis.call('SET', operation, keyed .. ' {"flags":"' .. said .. '"}', 'PX', ARGV[6])
  redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', ARGV[1])
  redis.call('ZADD', KEYS[7], now + tonumber(ARGV[6]), string.match(operation, '[^:]+$'))
  redis.call('PEXPIRE', KEYS[7], ARGV[6])
end
return { 'ok', tostring(version), head[2], said, unpack(versions) }
