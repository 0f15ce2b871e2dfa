-- Clears up behind a dead incarnation, a chunk at a time; any gateway may, and twice does no harm. Takes: incarnation, 1 when it is
-- known to be dead, about how many sessions to look at. Gives 'ok' and 1 while there is more to do.
local incarnation = ARGV[A]
if ARGV[A + 1] == '1' then
    redis.call('ZADD', LEASES, 0, incarnation)
else
    local score = redis.call('ZSCORE', LEASES, incarnation)
    if not score or lives(score) then
        return { 'ok', '0' }
    end
end
local page = redis.call('HSCAN', sessions_key(incarnation), '0', 'COUNT', ARGV[A + 2])
for i = 1, #page[2], 2 do
    local sid, stream = page[2][i], string.match(page[2][i + 1], '^%d+ (%S+)$')
    redis.call('HDEL', sessions_key(incarnation), sid)
    local e = stream and entry_of(redis.call('HGET', stream_key(stream), sid))
    if e and e.incarnation == incarnation then
        redis.call('HDEL', stream_key(stream), sid)
    end
end
if redis.call('HLEN', sessions_key(incarnation)) > 0 then
    return { 'ok', '1' }
end
redis.call('ZREM', LEASES, incarnation)
redis.call('HDEL', STATES, incarnation)
redis.call('HDEL', WORKERS, incarnation)
return { 'ok', '0' }
