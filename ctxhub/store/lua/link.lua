-- Link an identifier to a customer: the first one has it, later ones are linked beside it; never overwritten.
--
-- KEYS  1 identifier   hash: customer -> whispered, claimed or verified; '' -> nobody, where it is known to lead nowhere
-- ARGV  1 customer   2 whispered, claimed or verified   3 "first" (only if nobody has it) or "beside"   4 lifetime, ms
--       5 "recalled" where what is not here may stand in the archive, and must be brought back first
-- Returns all that it leads to, as flat pairs of customer and strength; or false: bring it back first.
local identifier, customer, strength, how = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local sure = {whispered = 1, claimed = 2, verified = 3}
local there = redis.call('EXISTS', identifier) == 1
if ARGV[5] == 'recalled' and not there then return false end
local held = redis.call('HGET', identifier, customer)
local nobody = not there or redis.call('HLEN', identifier) == redis.call('HEXISTS', identifier, '')
if how == 'beside' or held or nobody then
  if not held or sure[held] < sure[strength] then
    redis.call('HSET', identifier, customer, strength)
  end
  redis.call('HDEL', identifier, '')
  redis.call('PEXPIRE', identifier, ARGV[4])
end
return redis.call('HGETALL', identifier)
