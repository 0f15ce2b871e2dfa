-- The refused requests of a stream. KEYS as of refuse. Takes: how long they are kept in ms, how many of each at most, stream. Gives 'ok' or,
-- while gateways may still have to tell again what was lost, 'rebuilding'; and of each: 1 where its token was good, what, ms since the last.
local kept, name = tonumber(ARGV[A]), ' ' .. ARGV[A + 2]
local answer = { rebuilding and 'rebuilding' or 'ok' }
for i = 5, 6 do
    local all = redis.call('ZRANGEBYSCORE', KEYS[i], string.format('(%.0f', now - kept), '+inf', 'WITHSCORES')
    for n = 1, #all, 2 do
        if string.sub(all[n], -#name) == name then
            answer[#answer + 1] = i == 5 and '1' or '0'
            answer[#answer + 1] = string.sub(all[n], 1, -#name - 1)
            answer[#answer + 1] = string.format('%.0f', now - tonumber(all[n + 1]))
        end
    end
end
return answer
