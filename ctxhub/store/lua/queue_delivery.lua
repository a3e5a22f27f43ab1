-- Queue one event for one endpoint, unless it is queued already or its customer is gone.
--
-- KEYS  1 context      2 deliveries (hash: endpoint, version -> delivery)   3 order (its fields, sorted as texts)
--       4 next (by when it is tried)   5 waiting (by when it was queued)   6 endpoints (set)
-- ARGV  1 field in deliveries: endpoint, version (in 15 digits, so that texts sort as numbers do)
--       2 delivery   3 member of next and waiting: customer, version   4 now, ms   5 tenant, endpoint
--       6 '1' where an earlier one of the same customer and endpoint goes first
-- Returns 1, or 0 where there was nothing to do.
local context, deliveries, order = KEYS[1], KEYS[2], KEYS[3]
local next_, waiting, endpoints = KEYS[4], KEYS[5], KEYS[6]
local state = redis.call('HGET', context, 'state')
if not state or state == 'forgetting' then return 0 end
if redis.call('HSETNX', deliveries, ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('ZADD', order, 0, ARGV[1])
if redis.call('HLEN', deliveries) ~= redis.call('ZCARD', order) then  -- a hub from before there was an order has been here
  redis.call('DEL', order)
  for _, field in ipairs(redis.call('HKEYS', deliveries)) do redis.call('ZADD', order, 0, field) end
end
redis.call('ZADD', waiting, ARGV[4], ARGV[3])
redis.call('SADD', endpoints, ARGV[5])
if ARGV[6] == '1' then
  local mine = string.match(ARGV[1], '^(.-\n)')
  if redis.call('ZRANGE', order, '[' .. mine, '(' .. ARGV[1], 'BYLEX', 'LIMIT', 0, 1)[1] then return 1 end
end
redis.call('ZADD', next_, ARGV[4], ARGV[3])
return 1
