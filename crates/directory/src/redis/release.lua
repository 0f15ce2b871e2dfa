-- Forgets a reservation or a session. Takes: sid, stream, incarnation, epoch. A later owner's stays.
local e = entry_of(redis.call('HGET', stream_key(ARGV[A + 1]), ARGV[A]))
if e and e.incarnation == ARGV[A + 2] and e.epoch <= tonumber(ARGV[A + 3]) then
    e.sid = ARGV[A]
    drop(ARGV[A + 1], { e })
end
return { 'ok' }
