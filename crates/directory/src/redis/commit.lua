-- A reserved session lives and takes its stream. Takes: sid, stream. Gives {'lost'}, or 'ok' and of each session replaced: sid,
-- incarnation, epoch, worker.
local sid, stream = ARGV[A], ARGV[A + 1]
local mine
local all = entries(stream)
for _, e in ipairs(all) do
    if e.sid == sid and is_reserved(e) then
        mine = e
    end
end
if not mine or not lives(redis.call('ZSCORE', LEASES, mine.incarnation)) then
    return { 'lost' }
end
local answer, gone = { 'ok' }, {}
for _, e in ipairs(all) do
    if e.sid ~= sid and mine.mode ~= 's' and not is_reserved(e) then
        gone[#gone + 1] = e
        if e.live then
            for _, value in ipairs({ e.sid, e.incarnation, string.format('%d', e.epoch), e.worker }) do
                answer[#answer + 1] = value
            end
            -- An encoder that takes its own stream back is no loser.
            if e.client ~= '-' and e.client ~= mine.client then
                redis.call('SET', PREFIX .. 'past:' .. stream, string.format('%d %s %.0f', mine.epoch, e.client, now), 'PX', 60000)
            end
        end
    end
end
drop(stream, gone)
mine.state = 'L'
local s = state_of(redis.call('HGET', STATES, mine.incarnation))
put(stream, mine, s and s.serial or 0)
return answer
