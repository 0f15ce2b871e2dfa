-- What is known of all workers, by a constant number of commands. Notes that a gateway has looked. Takes: reservations at most. Gives
-- 'ok', the time, when the data began, whether the index is being rebuilt, leases with their ends, states, and reservations that are over.
look()
return {
    'ok', string.format('%.0f', now), string.format('%.0f', began), rebuilding and '1' or '0',
    redis.call('ZRANGE', LEASES, 0, -1, 'WITHSCORES'), redis.call('HGETALL', STATES),
    redis.call('ZRANGEBYSCORE', PREFIX .. 'reserved', '-inf', now, 'LIMIT', 0, ARGV[A]),
}
