-- Renews many leases by a constant number of commands. Takes, for each: incarnation, serial, changes, sessions, packets/s, cpu,
-- health, and the worker's number where its claim is to be renewed, else `-`. Gives for each how many sessions the
-- directory knows of it, or `-` where the lease is over.
local incarnations, scores = {}, nil
for i = A, #ARGV, 8 do
    incarnations[#incarnations + 1] = ARGV[i]
end
scores = redis.call('ZMSCORE', LEASES, unpack(incarnations))
local states = redis.call('HMGET', STATES, unpack(incarnations))
local answers, renewed, told = { 'ok' }, {}, {}
for n, incarnation in ipairs(incarnations) do
    local i = A + (n - 1) * 8
    local s = state_of(states[n])
    local goes_on = s and lives(scores[n]) and s.serial == tonumber(ARGV[i + 1]) and s.changes == tonumber(ARGV[i + 2])
    answers[n + 1] = goes_on and s.known or '-'
    if goes_on then
        s.told, s.pps, s.cpu, s.health = ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]
        renewed[#renewed + 1] = now + LEASE
        renewed[#renewed + 1] = incarnation
        told[#told + 1] = incarnation
        told[#told + 1] = state_text(s)
        if ARGV[i + 7] ~= '-' then
            redis.call('SET', PREFIX .. 'number:' .. ARGV[i + 7], incarnation, 'PX', ARGV[4])
        end
    end
end
if #renewed > 0 then
    redis.call('ZADD', LEASES, unpack(renewed))
    redis.call('HSET', STATES, unpack(told))
end
return answers
