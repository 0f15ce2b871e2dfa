-- A report stream broke. Takes: incarnation, serial. Nothing changes if the worker has said hello elsewhere since.
local s = state_of(redis.call('HGET', STATES, ARGV[A]))
if s and s.serial == tonumber(ARGV[A + 1]) then
    s.health = 'S'
    redis.call('HSET', STATES, ARGV[A], state_text(s))
end
return { 'ok' }
