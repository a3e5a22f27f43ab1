-- Let go of the oldest part of an audit trail; the sealed start says after which entry the rest begins.
--
-- KEYS  1 head (hash)   2 trail (stream)
-- ARGV  1 id in the trail of the last batch to let go   2 the sealed start, JSON
-- Returns how many batches were let go.
redis.call('HSET', KEYS[1], 'start', ARGV[2])
local gone = redis.call('XTRIM', KEYS[2], 'MINID', ARGV[1])
return gone + redis.call('XDEL', KEYS[2], ARGV[1])
