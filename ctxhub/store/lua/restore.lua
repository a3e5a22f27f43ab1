-- Bring a customer back from the archive, unless somebody was faster or it has just been erased.
--
-- KEYS  1 context   2 document   3 timeline   4 events   5 leases   6 due   7 erased   8.. lists
-- ARGV  1 member (tenant, customer)   2 document   3 when the lease ends, ms   4 when something is due, ms ('': never)
--       number of fields of the context, then flat pairs; `born` and `base` are among them
--       number of entries, then the newest ones, oldest first
--       number of event ids, then for each: digest, version:fingerprint
--       number of list entries, then for each: position in KEYS, member, score
-- Returns 1, or 0 where nothing was done.
local context, document, timeline, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('EXISTS', context) == 1 then return 0 end

local at = 4
local function following()
  at = at + 1
  return ARGV[at]
end

local fields = {}
for _ = 1, tonumber(following()) do
  local field = following()
  fields[field] = following()
end
local erased = redis.call('GET', KEYS[7])
if erased and erased == (fields.born or '') then return 0 end

for field, value in pairs(fields) do redis.call('HSET', context, field, value) end
redis.call('SET', document, ARGV[2])
redis.call('DEL', timeline, events)
for _ = 1, tonumber(following()) do redis.call('RPUSH', timeline, following()) end
for _ = 1, tonumber(following()) do
  local digest = following()
  redis.call('HSET', events, digest, following())
end
for _ = 1, tonumber(following()) do
  local position, entry, score = tonumber(following()), following(), following()
  redis.call('ZADD', KEYS[position], score, entry)
end
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[1])
if ARGV[4] ~= '' then redis.call('ZADD', KEYS[6], ARGV[4], ARGV[1]) end
return 1
