-- Which of a worker's sessions live. Takes: incarnation, then of each: sid, stream. Gives 'ok', and of those that do: sid, stream,
-- epoch.
local incarnation = ARGV[A]
local answer = { 'ok' }
for i = A + 1, #ARGV, 2 do
    local e = entry_of(redis.call('HGET', stream_key(ARGV[i + 1]), ARGV[i]))
    if e and e.incarnation == incarnation and e.state == 'L' then
        for _, value in ipairs({ ARGV[i], ARGV[i + 1], string.format('%d', e.epoch) }) do
            answer[#answer + 1] = value
        end
    end
end
return answer
