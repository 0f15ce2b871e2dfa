-- Sessions a worker names as ended. Takes: incarnation, serial, changes, then of each: sid, stream. Gives {'expired'} or {'ok'}.
-- Only what this incarnation owns is removed.
local incarnation = ARGV[A]
local s = leased(incarnation, ARGV[A + 1], ARGV[A + 2])
if not s then
    return { 'expired' }
end
for i = A + 3, #ARGV, 2 do
    forget(incarnation, ARGV[i], ARGV[i + 1])
end
changed(incarnation, s)
return { 'ok' }
