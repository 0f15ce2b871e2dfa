-- Sessions a worker names. Takes: incarnation, serial, changes, sessions per worker at most, sessions per stream at most, worker; then
-- of each: sid, stream, epoch, mode, 1 where its encoder has been heard of. Gives {'expired'}, {'many'}, or 'ok' and of each session
-- that lost its stream: sid, incarnation, epoch, worker, stream. Of two that live the later epoch keeps a stream, so that one of them
-- writes.
local incarnation, most, worker = ARGV[A], tonumber(ARGV[A + 3]), ARGV[A + 5]
local per_stream = tonumber(ARGV[A + 4])
local s = leased(incarnation, ARGV[A + 1], ARGV[A + 2])
if not s then
    return { 'expired' }
end
local first = A + 6
if s.known + (#ARGV - first + 1) / 5 > most then
    return { 'many' }
end
local answer = { 'ok' }
local function lost(e, stream)
    for _, value in ipairs({ e.sid, e.incarnation, string.format('%d', e.epoch), e.worker, stream }) do
        answer[#answer + 1] = value
    end
end

-- Each stream is read once, and kept as it becomes: all that are named may be of one.
local read = {}
local function become(stream, gone, new)
    local out, kept = {}, {}
    for _, e in ipairs(gone) do
        out[e.sid] = true
    end
    for _, e in ipairs(read[stream]) do
        if not out[e.sid] and not (new and e.sid == new.sid) then
            kept[#kept + 1] = e
        end
    end
    kept[#kept + 1] = new
    read[stream] = kept
end

-- Whether a session takes its stream, and who goes out of the index.
local function judge(new, stream, heard)
    local takes, gone, beaten, count, mine = true, {}, {}, 0, nil
    for _, e in ipairs(read[stream]) do
        if e.sid == new.sid then
            mine = e
        end
    end
    local own = mine and mine.incarnation == incarnation
    if new.epoch > LATEST and not (own and mine.epoch == new.epoch) then
        -- Nobody gave it: it would keep the stream for ever.
        lost(new, stream)
        return false, { own and mine or nil }
    end
    for _, e in ipairs(read[stream]) do
        if e.sid == new.sid then
            if is_reserved(e) and own and e.epoch == new.epoch and not heard then
                -- Its gateway's commit is on the way, and decides about the stream. Who has been heard of has its answer, which
                -- is given after the commit: that one was lost.
                takes = false
            elseif e.live and e.epoch > new.epoch then
                -- A session has one owner: the later epoch's. What an earlier one still reports is stale.
                lost(new, stream)
                takes = false
            elseif not own then
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
        elseif e.live or is_reserved(e) then
            count = count + 1
        else
            gone[#gone + 1] = e
        end
    end
    if takes and not mine and new.mode == 's' and count >= per_stream then
        lost(new, stream)
        takes = false
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
    return takes, gone
end

for i = first, #ARGV, 5 do
    local stream = ARGV[i + 1]
    read[stream] = read[stream] or entries(stream)
    local new = {
        sid = ARGV[i], incarnation = incarnation, epoch = tonumber(ARGV[i + 2]), state = 'L', mode = ARGV[i + 3],
        client = '-', worker = worker, live = true,
    }
    local takes, gone = judge(new, stream, ARGV[i + 4] == '1')
    drop(stream, gone)
    if takes then
        put(stream, new, s.serial)
    end
    if takes or #gone > 0 then
        become(stream, gone, takes and new or nil)
    end
end
changed(incarnation, s)
return answer
