-- Put noted entries at the end of a tenant's audit trail, and take them from where they were noted.
--
-- KEYS  1 head (hash)   2 trail (stream)   3 new (stream)
-- ARGV  1 number of the last entry the caller chained on   2 number and 3 link of the last after this
--       4 id in `new` up to which this chains   5 the entries, packed together
-- Returns 1, or 0 where somebody else has chained meanwhile: nothing is written then.
local head, trail, new = KEYS[1], KEYS[2], KEYS[3]
if (redis.call('HGET', head, 'sequence') or '0') ~= ARGV[1] then return 0 end
redis.call('XADD', trail, '*', 'b', ARGV[5])
redis.call('HSET', head, 'sequence', ARGV[2], 'link', ARGV[3], 'chained', ARGV[4])
redis.call('XTRIM', new, 'MINID', ARGV[4])
redis.call('XDEL', new, ARGV[4])
return 1
