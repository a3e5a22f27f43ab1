-- Link an identifier to a customer: the first one has it, later ones are linked beside it; never overwritten.
--
-- KEYS  1 identifier   hash: customer -> claimed or verified
-- ARGV  1 customer   2 claimed or verified   3 "first" (only if nobody has it) or "beside"   4 lifetime, ms
-- Returns all that it leads to, as flat pairs of customer and strength.
local identifier, customer, strength, how = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local held = redis.call('HGET', identifier, customer)
if how == 'beside' or held or redis.call('EXISTS', identifier) == 0 then
  if held ~= 'verified' then
    redis.call('HSET', identifier, customer, strength)
  end
  redis.call('PEXPIRE', identifier, ARGV[4])
end
return redis.call('HGETALL', identifier)
