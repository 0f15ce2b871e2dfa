-- Sessions a worker names. Takes: incarnation, serial, changes, sessions per worker at most, worker; then of each: sid, stream,
-- epoch, mode, 1 where its encoder has been heard of. Gives {'expired'}, {'many'}, or 'ok' and of each session that lost its stream: sid, incarnation, epoch, worker,
-- stream. Of two that live the later epoch keeps a stream, so that one of them writes.
local incarnation, most, worker = ARGV[A], tonumber(ARGV[A + 3]), ARGV[A + 4]
local s = leased(incarnation, ARGV[A + 1], ARGV[A + 2])
if not s then
    return { 'expired' }
end
local first = A + 5
if redis.call('HLEN', sessions_key(incarnation)) + (#ARGV - first + 1) / 5 > most then
    return { 'many' }
end
local answer = { 'ok' }
local function lost(e, stream)
    for _, value in ipairs({ e.sid, e.incarnation, string.format('%d', e.epoch), e.worker, stream }) do
        answer[#answer + 1] = value
    end
end
for i = first, #ARGV, 5 do
    local stream, heard = ARGV[i + 1], ARGV[i + 4] == '1'
    local new = {
        sid = ARGV[i], incarnation = incarnation, epoch = tonumber(ARGV[i + 2]), state = 'L', mode = ARGV[i + 3],
        client = '-', worker = worker,
    }
    local takes, gone, beaten = true, {}, {}
    for _, e in ipairs(entries(stream)) do
        if e.sid == new.sid then
            if is_reserved(e) and e.incarnation == incarnation and e.epoch == new.epoch and not heard then
                -- Its gateway's commit is on the way, and decides about the stream. Who has been heard of has its answer, which
                -- is given after the commit: that one was lost.
                takes = false
            elseif e.live and e.epoch > new.epoch then
                -- A session has one owner: the later epoch's. What an earlier one still reports is stale.
                lost(new, stream)
                takes = false
            elseif e.incarnation ~= incarnation then
                gone[#gone + 1] = e
            else
                new.client = e.client
            end
        elseif e.live and new.mode ~= 's' then
            beaten[#beaten + 1] = e
            if takes and e.epoch >= new.epoch then
                lost(new, stream)
                takes = false
                gone[#gone + 1] = new
            end
        elseif not e.live and not is_reserved(e) then
            gone[#gone + 1] = e
        end
    end
    if #beaten > 0 and not heard then
        -- Its gateway may have died with its answer: it takes nothing from whoever streams.
        takes = false
    end
    if takes then
        for _, e in ipairs(beaten) do
            lost(e, stream)
            gone[#gone + 1] = e
        end
    end
    drop(stream, gone)
    if takes then
        put(stream, new, s.serial)
    end
end
changed(incarnation, s)
return answer
