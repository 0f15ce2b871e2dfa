-- Reservations whose time is over, and whom nobody told to release: their gateways died. Takes, of each: incarnation, sid, stream.
-- Gives {'ok'}. One that was committed or placed anew meanwhile stays.
local counted = {}
for i = A, #ARGV, 3 do
    local incarnation, sid, stream = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local e = entry_of(redis.call('HGET', stream_key(stream), sid))
    if not e or e.incarnation ~= incarnation or (e.state == 'R' and not is_reserved(e)) then
        forget(incarnation, sid, stream)
        counted[incarnation] = true
    end
    redis.call('ZREM', PREFIX .. 'reserved', incarnation .. ' ' .. sid .. ' ' .. stream)
end
for incarnation in pairs(counted) do
    recount(incarnation)
end
return { 'ok' }
