-- All of a worker's sessions have been named: live ones that an older lease named and this one did not are gone. What was
-- committed since the hello may be younger than the snapshot, so it stays. Takes: incarnation, serial, changes, then of each that
-- may be gone: sid, stream. Gives {'expired'} or {'ok'}.
local incarnation = ARGV[A]
local s = leased(incarnation, ARGV[A + 1], ARGV[A + 2])
if not s then
    return { 'expired' }
end
for i = A + 3, #ARGV, 2 do
    local sid, stream = ARGV[i], ARGV[i + 1]
    local confirmed = string.match(redis.call('HGET', sessions_key(incarnation), sid) or '', '^(%d+) ')
    local e = entry_of(redis.call('HGET', stream_key(stream), sid))
    local own = e and e.incarnation == incarnation
    if confirmed and tonumber(confirmed) < s.serial and not (own and is_reserved(e)) then
        forget(incarnation, sid, stream)
    end
end
changed(incarnation, s)
return { 'ok' }
