-- A worker's incarnation introduces itself. Takes: incarnation, hello as JSON, number, workers at most.
-- Gives {'ok', serial of the lease}, {'taken'} when the number is another's, or {'full'}.
local incarnation, hello, number, most = ARGV[A], ARGV[A + 1], ARGV[A + 2], tonumber(ARGV[A + 3])
local claim = PREFIX .. 'number:' .. number
local claimant = redis.call('GET', claim)
if claimant and claimant ~= incarnation then
    return { 'taken' }
end
local former = state_of(redis.call('HGET', STATES, incarnation))
if not former and redis.call('HLEN', STATES) >= most then
    return { 'full' }
end
-- Until a beat counts, which makes it a claim for long: numbers that are only asked for would be used up.
if redis.call('PTTL', claim) < LEASE then
    redis.call('SET', claim, incarnation, 'PX', ARGV[1])
end
-- One that drew another number gives the former back.
local told = string.match(redis.call('HGET', WORKERS, incarnation) or '', '"number":(%d+)')
if told and told ~= number and redis.call('GET', PREFIX .. 'number:' .. told) == incarnation then
    redis.call('DEL', PREFIX .. 'number:' .. told)
end
-- Greater than any before, also when the data were lost, or when the clock of a promoted replica is behind.
local serial = math.max(micros, former and former.serial + 1 or 0)
local known = redis.call('HLEN', sessions_key(incarnation))
redis.call('ZADD', LEASES, now + LEASE, incarnation)
redis.call('HSET', WORKERS, incarnation, hello)
redis.call('HSET', STATES, incarnation, state_text({
    serial = serial, changes = 0, health = 'A', known = known, told = known, pps = former and former.pps or 0,
    cpu = former and former.cpu or 0,
}))
return { 'ok', string.format('%.0f', serial) }
