-- Take whatever was, is or was not to be told to endpoints about a customer out of their queues.
--
-- KEYS  1 deliveries   2 order   then, of each endpoint: next, waiting, delivered, undelivered
-- ARGV  1 customer
-- Returns how much it was.
local deliveries, customer = KEYS[1], ARGV[1]
local gone = 0
for k = 3, #KEYS, 4 do
  for _, field in ipairs(redis.call('HKEYS', deliveries)) do
    local member = customer .. '\n' .. string.match(field, '\n(.*)$')
    redis.call('ZREM', KEYS[k], member)
    gone = gone + redis.call('ZREM', KEYS[k + 1], member)
  end
  for over = k + 2, k + 3 do
    for _, delivery in ipairs(redis.call('ZRANGE', KEYS[over], 0, -1)) do
      if cjson.decode(delivery)['customer_id'] == customer then gone = gone + redis.call('ZREM', KEYS[over], delivery) end
    end
  end
end
redis.call('DEL', deliveries, KEYS[2])
return gone
