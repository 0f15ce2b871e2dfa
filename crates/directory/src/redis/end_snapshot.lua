-- All of a worker's sessions have been named: live ones that an older lease named and this one did not are gone. What was
-- committed since the hello may be younger than the snapshot, so it stays. Takes: incarnation, serial, changes, cursor, and about
-- how many to look at. Gives {'expired'}, or 'ok' and where to go on; '0' is the end.
local incarnation = ARGV[A]
local s = leased(incarnation, ARGV[A + 1], ARGV[A + 2])
if not s then
    return { 'expired' }
end
local page = redis.call('HSCAN', sessions_key(incarnation), ARGV[A + 3], 'COUNT', ARGV[A + 4])
for i = 1, #page[2], 2 do
    local sid = page[2][i]
    local confirmed, stream = string.match(page[2][i + 1], '^(%d+) (%S+)$')
    if stream and tonumber(confirmed) < s.serial then
        local e = entry_of(redis.call('HGET', stream_key(stream), sid))
        local own = e and e.incarnation == incarnation
        if not (own and is_reserved(e)) then
            redis.call('HDEL', sessions_key(incarnation), sid)
            if own then
                redis.call('HDEL', stream_key(stream), sid)
            end
        end
    end
end
changed(incarnation, s)
return { 'ok', page[1] }
