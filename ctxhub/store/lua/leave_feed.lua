-- Take out of a feed whatever notes a customer; a feed has at most some ten thousand entries.
--
-- KEYS  1 feed   stream: c (customer), v (version)
-- ARGV  1 customer
-- Returns how many entries it was.
local feed, customer = KEYS[1], ARGV[1]
local gone = 0
for _, entry in ipairs(redis.call('XRANGE', feed, '-', '+')) do
  if entry[2][1] == 'c' and entry[2][2] == customer then gone = gone + redis.call('XDEL', feed, entry[1]) end
end
return gone
