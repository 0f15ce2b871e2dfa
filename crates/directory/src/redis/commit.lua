-- A reserved session lives and takes its stream. Takes: sid, stream, incarnation, epoch. Gives {'lost'}, {'rebuilding'}, {'dead'} when
-- nobody else took the stream, but the worker has no lease any more, or 'ok' and of each session replaced: sid, incarnation, epoch,
-- worker.
local sid, stream, owner, epoch = ARGV[A], ARGV[A + 1], ARGV[A + 2], tonumber(ARGV[A + 3])
local mine, later, told
local all = entries(stream)
for _, e in ipairs(all) do
    if e.sid == sid then
        mine = is_reserved(e) and e
        told = e.live and e.incarnation == owner and e.epoch == epoch
    elseif (e.live or is_reserved(e)) and e.epoch > epoch then
        later = true
    end
end
if not mine and rebuilding and not later then
    -- The data were lost since it was placed: its worker tells of it, or has done so already.
    return { told and 'ok' or 'rebuilding' }
end
if later and not mine then
    return { 'lost' }
end
-- Without a lease the reservation may have been cleared up, too.
if not lives(redis.call('ZSCORE', LEASES, owner)) then
    return { 'dead' }
end
if not mine or mine.incarnation ~= owner then
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
redis.call('ZREM', PREFIX .. 'reserved', mine.incarnation .. ' ' .. sid .. ' ' .. stream)
mine.state = 'L'
local s = state_of(redis.call('HGET', STATES, mine.incarnation))
put(stream, mine, s and s.serial or 0)
return answer
