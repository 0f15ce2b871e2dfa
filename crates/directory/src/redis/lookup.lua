-- Who lives in a stream. Takes: stream, and a sid or nothing for all. Gives 'ok' or, while absence means nothing, 'rebuilding'; then
-- of each: sid, incarnation, epoch, worker.
local stream, sid = ARGV[A], ARGV[A + 1]
local answer = { rebuilding and 'rebuilding' or 'ok' }
for _, e in ipairs(entries(stream)) do
    if e.live and (sid == '' or sid == e.sid) then
        for _, value in ipairs({ e.sid, e.incarnation, string.format('%d', e.epoch), e.worker }) do
            answer[#answer + 1] = value
        end
    end
end
return answer
