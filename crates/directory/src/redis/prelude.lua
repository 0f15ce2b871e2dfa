-- The beginning of every script: what is the time, what are these data, and what entries mean.
--
-- KEYS: boot, leases, states, workers; then the keys of one call, so that a Cluster that moves the slot refuses it (TRYAGAIN).
-- ARGV: a lease, a reservation, the rebuilding, a number's rest and the loser's wait, all in ms; then the call's own, from `A` on.
-- Gives {'newer', format} when a later version wrote the data: it is refused, not guessed.
local FORMAT, A = 1, 6
local LEASE, RESERVATION, REBUILD = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local PREFIX = string.sub(KEYS[1], 1, -5)
local LEASES, STATES, WORKERS = KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
-- No epoch is later: one is a second, or one more than the last where two are given in the same second. A stream that is placed more
-- often runs ahead of the clock, and waits where it is as far ahead as it may be: two equal epochs would each lose to the other.
local LATEST = tonumber(time[1]) + 600

-- `FORMAT BEGAN SEEN`. Without it the data are gone. When no gateway has looked for half a lease, leases ended unrenewed
-- because nobody could reach this server, and not because their workers died: that is a new beginning, too.
local record = redis.call('GET', KEYS[1])
local format, began, seen
if record then
    format, began, seen = string.match(record, '^(%d+) (%d+) (%d+)')
    if tonumber(format) > FORMAT then
        return { 'newer', format }
    end
    began, seen = tonumber(began), tonumber(seen)
end
local function look()
    redis.call('SET', KEYS[1], string.format('%d %.0f %.0f', FORMAT, began, now))
end
if not record or now - seen > LEASE / 2 then
    began = now
    look()
end
-- Absence means nothing now.
local rebuilding = now - began < REBUILD

local function lives(score)
    return score and (tonumber(score) >= now or rebuilding)
end

local function sessions_key(incarnation)
    return PREFIX .. 'sessions:' .. incarnation
end

local function stream_key(stream)
    return PREFIX .. 'stream:' .. stream
end

-- Of a worker: `SERIAL CHANGES HEALTH KNOWN TOLD PPS CPU`.
local function state_of(text)
    local serial, changes, health, known, told, pps, cpu = string.match(text or '',
        '^(%d+) (%d+) (%a) (%d+) (%d+) (%d+) (%d+)$')
    return serial and {
        serial = tonumber(serial), changes = tonumber(changes), health = health, known = tonumber(known), told = told, pps = pps,
        cpu = cpu,
    }
end

local function state_text(s)
    return string.format('%.0f %d %s %d %d %.0f %d', s.serial, s.changes, s.health, s.known, s.told, s.pps, s.cpu)
end

-- Of a session in its stream: `INCARNATION EPOCH STATE MODE CLIENT WORKER`; STATE is `L`, or `R` and when it was reserved.
local function entry_of(text)
    local incarnation, epoch, state, since, mode, client, worker = string.match(text or '',
        '^(%x+) (%d+) (%u)(%d*) (%a) (%S+) (%S+)$')
    return incarnation and {
        incarnation = incarnation, epoch = tonumber(epoch), state = state, since = tonumber(since), mode = mode,
        client = client, worker = worker,
    }
end

local function entry_text(e)
    local since = e.state == 'R' and string.format('%.0f', e.since) or ''
    return string.format('%s %d %s%s %s %s %s', e.incarnation, e.epoch, e.state, since, e.mode, e.client, e.worker)
end

local function is_reserved(e)
    return e.state == 'R' and now - e.since < RESERVATION
end

-- The entries of a stream, with `live` set where the owner's lease lives.
local function entries(stream)
    local all = redis.call('HGETALL', stream_key(stream))
    local found, incarnations = {}, {}
    for i = 1, #all, 2 do
        local e = entry_of(all[i + 1])
        if e then
            e.sid = all[i]
            found[#found + 1] = e
            incarnations[#incarnations + 1] = e.incarnation
        end
    end
    if #found > 0 then
        local scores = redis.call('ZMSCORE', LEASES, unpack(incarnations))
        for i, e in ipairs(found) do
            e.live = e.state == 'L' and lives(scores[i])
        end
    end
    return found
end

-- How many sessions the directory knows of a worker, told with the next look at its state.
local function recount(incarnation)
    local s = state_of(redis.call('HGET', STATES, incarnation))
    local known = redis.call('HLEN', sessions_key(incarnation))
    if s then
        s.known = known
        redis.call('HSET', STATES, incarnation, state_text(s))
    end
    return known
end

-- Takes sessions out of a stream; their workers are counted anew.
local function drop(stream, gone)
    local counted = {}
    for _, e in ipairs(gone) do
        redis.call('HDEL', stream_key(stream), e.sid)
        redis.call('HDEL', sessions_key(e.incarnation), e.sid)
        counted[e.incarnation] = true
    end
    for incarnation in pairs(counted) do
        recount(incarnation)
    end
end

local function put(stream, e, confirmed)
    redis.call('HSET', stream_key(stream), e.sid, entry_text(e))
    redis.call('HSET', sessions_key(e.incarnation), e.sid, string.format('%.0f %s', confirmed, stream))
end

-- Takes one session of a worker out, whose stream the caller has declared.
local function forget(incarnation, sid, stream)
    local e = entry_of(redis.call('HGET', stream_key(stream), sid))
    if e and e.incarnation == incarnation then
        redis.call('HDEL', stream_key(stream), sid)
    end
    redis.call('HDEL', sessions_key(incarnation), sid)
end

-- The lease of a report: nil unless it lives, with this serial and as many changes as its gateway has made. A difference means
-- that acknowledged writes were lost: the worker tells all again.
local function leased(incarnation, serial, changes)
    local s = state_of(redis.call('HGET', STATES, incarnation))
    if not s or s.serial ~= tonumber(serial) or s.changes ~= tonumber(changes) then
        return nil
    end
    return lives(redis.call('ZSCORE', LEASES, incarnation)) and s or nil
end

-- A counted change ends with it. It renews the lease: its worker spoke a moment ago, and its beat may stand behind many of these.
local function changed(incarnation, s)
    redis.call('ZADD', LEASES, now + LEASE, incarnation)
    s.changes = s.changes + 1
    s.known = redis.call('HLEN', sessions_key(incarnation))
    redis.call('HSET', STATES, incarnation, state_text(s))
end
