-- Forget a look-up that the archive has just as it is here.
--
-- KEYS  1 look-up   hash of an identifier, or string
-- ARGV  1 "identifier" or "name"   2.. what the archive has: flat pairs of customer and strength, or the string
-- Returns 1 if it was forgotten.
local lookup = KEYS[1]
if ARGV[1] == 'name' then
  if redis.call('GET', lookup) ~= ARGV[2] then return 0 end
  return redis.call('DEL', lookup)
end
local count = redis.call('HLEN', lookup) - redis.call('HEXISTS', lookup, '')
if count ~= (#ARGV - 1) / 2 then return 0 end
for at = 2, #ARGV, 2 do
  if redis.call('HGET', lookup, ARGV[at]) ~= ARGV[at + 1] then return 0 end
end
return redis.call('DEL', lookup)
