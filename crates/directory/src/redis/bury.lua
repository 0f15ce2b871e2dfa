-- Clears up behind a dead incarnation, a chunk at a time; any gateway may, and twice does no harm. Takes: incarnation, 1 when it is
-- known to be dead, then of some of its sessions: sid, stream. Gives 'ok' and 1 while there is more to do.
local incarnation = ARGV[A]
if ARGV[A + 1] == '1' then
    redis.call('ZADD', LEASES, 0, incarnation)
else
    local score = redis.call('ZSCORE', LEASES, incarnation)
    if not score or lives(score) then
        return { 'ok', '0' }
    end
end
for i = A + 2, #ARGV, 2 do
    forget(incarnation, ARGV[i], ARGV[i + 1])
end
if redis.call('HLEN', sessions_key(incarnation)) > 0 then
    return { 'ok', '1' }
end
redis.call('ZREM', LEASES, incarnation)
redis.call('HDEL', STATES, incarnation)
redis.call('HDEL', WORKERS, incarnation)
return { 'ok', '0' }
