-- Lend a number of a pool to an offer: one that it has already, else the first that no other offer has.
--
-- KEYS  1 lent     hash: number -> handoff, until when in ms
-- ARGV  1 handoff  2 until, ms  3 now, ms  4.. the pool's numbers, in order
-- Returns the number; or false where every one is lent.
local lent, handoff, ends, now = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local free = false
for place = 4, #ARGV do
  local held = redis.call('HGET', lent, ARGV[place])
  local holder, till = string.match(held or '', '^(%S+) (%d+)$')
  if holder == handoff then
    free = ARGV[place]
    break
  end
  if not free and (not holder or tonumber(till) <= now) then free = ARGV[place] end
end
if not free then return false end
redis.call('HSET', lent, free, handoff .. ' ' .. ARGV[2])
if redis.call('PTTL', lent) < ends - now then redis.call('PEXPIRE', lent, ends - now) end
return free
