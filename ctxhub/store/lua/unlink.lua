-- Let an identifier no longer lead to a customer; where an archive is kept, what leads to nobody says so.
--
-- KEYS  1 identifier   hash: customer -> whispered, claimed or verified; '' -> nobody
-- ARGV  1 customer   2 lifetime, ms   3 "recalled" where an archive is kept
-- Returns how many it still leads to.
local identifier = KEYS[1]
redis.call('HDEL', identifier, ARGV[1])
local left = redis.call('HLEN', identifier)
if left == 0 and ARGV[3] == 'recalled' then
  redis.call('HSET', identifier, '', 'nobody')
  redis.call('PEXPIRE', identifier, ARGV[2])
end
return left
