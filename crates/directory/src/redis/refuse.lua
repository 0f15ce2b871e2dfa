-- Notes refused requests. KEYS: those of good tokens, those of others. Takes: how long they are kept in ms, how many of each at most; then
-- of each: 1 where its token was good, ms since the last, and `WHAT STREAM`. One that is known from later stays.
local kept, most = tonumber(ARGV[A]), tonumber(ARGV[A + 1])
for i = A + 2, #ARGV, 3 do
    redis.call('ZADD', KEYS[ARGV[i] == '1' and 5 or 6], 'GT', string.format('%.0f', now - tonumber(ARGV[i + 1])), ARGV[i + 2])
end
for i = 5, 6 do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - kept)
    redis.call('ZREMRANGEBYRANK', KEYS[i], 0, -most - 1)
    redis.call('PEXPIRE', KEYS[i], kept)
end
return { 'ok' }
