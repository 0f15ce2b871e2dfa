-- Sessions a worker names as ended. Takes: incarnation, serial, changes, then sids. Gives {'expired'} or {'ok'}.
-- Only what this incarnation owns is removed.
local incarnation = ARGV[A]
local s = leased(incarnation, ARGV[A + 1], ARGV[A + 2])
if not s then
    return { 'expired' }
end
for i = A + 3, #ARGV do
    local known = redis.call('HGET', sessions_key(incarnation), ARGV[i])
    local stream = string.match(known or '', '^%d+ (%S+)$')
    if stream then
        redis.call('HDEL', sessions_key(incarnation), ARGV[i])
        local e = entry_of(redis.call('HGET', stream_key(stream), ARGV[i]))
        if e and e.incarnation == incarnation then
            redis.call('HDEL', stream_key(stream), ARGV[i])
        end
    end
end
changed(incarnation, s)
return { 'ok' }
