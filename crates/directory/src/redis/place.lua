-- Reserves a stream. Takes: incarnation, worker, sid, stream, mode (r replace, x reject, s several), client or `-`, 1 to place
-- whatever the loser's wait says, the epoch of this request's former attempt or 0, sessions of a stream at most.
-- Gives {'dead'}, {'rebuilding', ms to its end}, {'superseded'}, {'full'}, {'hurry'}, {'held'} or {'lost'} and the holder's sid, incarnation, epoch, worker,
-- or {'ok', epoch, sessions known of the worker}.
local incarnation, worker, sid, stream, mode = ARGV[A], ARGV[A + 1], ARGV[A + 2], ARGV[A + 3], ARGV[A + 4]
local client, force, former, most = ARGV[A + 5], ARGV[A + 6] == '1', tonumber(ARGV[A + 7]), tonumber(ARGV[A + 8])
local score = redis.call('ZSCORE', LEASES, incarnation)
local s = state_of(redis.call('HGET', STATES, incarnation))
-- While the index is rebuilt its gateway may know a worker that has not said hello to it.
if not (lives(score) or (rebuilding and not score)) or (s and s.health ~= 'A') then
    return { 'dead' }
end
local holder, gone, count, latest = nil, {}, 0, 0
for _, e in ipairs(entries(stream)) do
    if e.sid ~= sid then
        if e.live or is_reserved(e) then
            latest = math.max(latest, e.epoch)
        end
        if e.live then
            count = count + 1
            if not holder or e.epoch > holder.epoch then
                holder = e
            end
        elseif is_reserved(e) then
            count = count + 1
            if mode == 'x' then
                holder = holder or e
            elseif mode == 'r' then
                -- Of two that place at once the later wins.
                gone[#gone + 1] = e
            end
        else
            gone[#gone + 1] = e
        end
    end
end
local function named(word)
    return { word, holder.sid, holder.incarnation, string.format('%d', holder.epoch), holder.worker }
end
local past_key = PREFIX .. 'past:' .. stream
local past = redis.call('GET', past_key)
local epoch, loser, since = string.match(past or '', '^(%d+) (%S+) (%d+)$')
if holder and mode == 'x' then
    return named('held')
elseif mode == 'x' and rebuilding then
    return { 'rebuilding', string.format('%d', REBUILD - (now - began)) }
elseif mode == 's' and count >= most then
    return { 'full' }
elseif mode == 'r' and former > 0 and latest > former then
    return { 'superseded' }
elseif mode == 'r' and holder then
    if not force and former == 0 and client ~= '-' and client == loser and now - tonumber(since) < tonumber(ARGV[5]) then
        return named('lost')
    end
end
-- Grows over all that this stream ever had, also when the data were lost.
local new = math.max(tonumber(time[1]), (tonumber(epoch) or 0) + 1, holder and holder.epoch + 1 or 0)
if new > LATEST then
    return { 'hurry' }
end
drop(stream, gone)
redis.call('SET', past_key, string.format('%d %s %s', new, loser or '-', since or '0'), 'PX', 60000)
if not score then
    -- Whatever has sessions has a lease, so that it is buried one day.
    redis.call('ZADD', LEASES, now + LEASE, incarnation)
end
redis.call('ZADD', PREFIX .. 'reserved', now + RESERVATION, incarnation .. ' ' .. sid .. ' ' .. stream)
put(stream, {
    sid = sid, incarnation = incarnation, epoch = new, state = 'R', since = now, mode = mode, client = client, worker = worker,
}, s and s.serial or 0)
return { 'ok', string.format('%d', new), recount(incarnation) }
