-- Bring back from the archive what an identifier leads to, unless somebody was faster.
--
-- KEYS  1 identifier   hash: customer -> whispered, claimed or verified; '' -> nobody
-- ARGV  1 lifetime, ms   2 lifetime of "nobody", ms   3.. flat pairs of customer and strength
-- Returns all that it leads to, as flat pairs.
local identifier = KEYS[1]
if redis.call('EXISTS', identifier) == 0 then
  if #ARGV > 2 then
    redis.call('HSET', identifier, unpack(ARGV, 3))
    redis.call('PEXPIRE', identifier, ARGV[1])
  else
    redis.call('HSET', identifier, '', 'nobody')
    redis.call('PEXPIRE', identifier, ARGV[2])
  end
end
return redis.call('HGETALL', identifier)
