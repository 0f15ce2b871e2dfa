-- Whether a session lives in its stream. Takes: stream, sid. Gives 'ok' or, while absence means nothing, 'rebuilding'; then of one that
-- does: sid, incarnation, epoch, worker.
local stream, sid = ARGV[A], ARGV[A + 1]
local answer = { rebuilding and 'rebuilding' or 'ok' }
for _, e in ipairs(entries(stream)) do
    if e.live and sid == e.sid then
        for _, value in ipairs({ e.sid, e.incarnation, string.format('%d', e.epoch), e.worker }) do
            answer[#answer + 1] = value
        end
    end
end
return answer
