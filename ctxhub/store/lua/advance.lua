-- Move a consumer's cursor over the outbox, count what it found, and trim behind the slowest consumer.
--
-- KEYS  1 relay   2 cursors (hash: consumer -> stream id)   3 outbox   4.. numbers of tenants and days
-- ARGV  1 holder   2 fence   3 consumer   4 cursor it read from   5 cursor it read to   6 lifetime of counters, ms
--       7 all consumers, separated by blanks
--       8.. position in KEYS, field, amount
-- Returns 1, or 0 where the relay has lost its lease or the cursor moved meanwhile: then nothing is counted.
local relay, cursors, outbox = KEYS[1], KEYS[2], KEYS[3]
local held = redis.call('HMGET', relay, 'holder', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
if (redis.call('HGET', cursors, ARGV[3]) or '0-0') ~= ARGV[4] then return 0 end
for at = 8, #ARGV, 3 do
  local numbers = KEYS[tonumber(ARGV[at])]
  redis.call('HINCRBY', numbers, ARGV[at + 1], ARGV[at + 2])
  redis.call('PEXPIRE', numbers, ARGV[6])
end
redis.call('HSET', cursors, ARGV[3], ARGV[5])

local function behind(a, b)
  local a1, a2 = string.match(a, '^(%d+)-(%d+)$')
  local b1, b2 = string.match(b, '^(%d+)-(%d+)$')
  a1, a2, b1, b2 = tonumber(a1), tonumber(a2), tonumber(b1), tonumber(b2)
  return a1 < b1 or (a1 == b1 and a2 < b2)
end

local slowest = ARGV[5]
for consumer in string.gmatch(ARGV[7], '%S+') do
  local cursor = redis.call('HGET', cursors, consumer) or '0-0'
  if behind(cursor, slowest) then slowest = cursor end
end
redis.call('XTRIM', outbox, 'MINID', slowest)
return 1
