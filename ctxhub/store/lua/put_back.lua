-- Put a customer back as an export had it, unless somebody is there; its timeline waits beside, piece by piece.
--
-- KEYS  1 context   2 document   3 timeline   4 events   5 saved   6 due   7 leases   8 coming   9 coming_events
--       10.. lists
-- ARGV  1 member (tenant, customer)   2 document ('' for none)   3 when Redis lets it go, ms ('' for never)
--       4 when something is due, ms ('' for never)   5 when its lease ends, ms ('' for never)
--       6 how many entries must have come   7 fields of the context, flat, their number first
--       digests of questions saved, their number first
--       list entries, their number first; for each: position in KEYS, member, score
-- Returns { 'ok' }, { 'there', version, commit } where somebody is there, or { 'short', n } where entries are missing.
local context, timeline, events, saved = KEYS[1], KEYS[3], KEYS[4], KEYS[5]
local there = redis.call('HMGET', context, 'version', 'commit')
local came = redis.call('LLEN', KEYS[8])
if there[1] or came ~= tonumber(ARGV[6]) then
  redis.call('DEL', KEYS[8], KEYS[9])
  return there[1] and { 'there', there[1], there[2] } or { 'short', came }
end

local at = 6
local function following()
  at = at + 1
  return ARGV[at]
end

for _ = 1, tonumber(following()) do
  local field = following()
  redis.call('HSET', context, field, following())
end
redis.call('DEL', timeline, events, saved)
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2]) end
if came > 0 then redis.call('RENAME', KEYS[8], timeline) end
if redis.call('EXISTS', KEYS[9]) == 1 then redis.call('RENAME', KEYS[9], events) end
for _ = 1, tonumber(following()) do redis.call('SADD', saved, following()) end
for _ = 1, tonumber(following()) do
  local position, entry, score = tonumber(following()), following(), following()
  redis.call('ZADD', KEYS[position], score, entry)
end
for k = 1, 5 do
  redis.call('PERSIST', KEYS[k])
  if ARGV[3] ~= '' then redis.call('PEXPIREAT', KEYS[k], ARGV[3]) end
end
if ARGV[4] ~= '' then redis.call('ZADD', KEYS[6], ARGV[4], ARGV[1]) end
if ARGV[5] ~= '' then redis.call('ZADD', KEYS[7], ARGV[5], ARGV[1]) end
return { 'ok' }
