-- The load of every peer: POST with a body that no other request has.
-- LOAD_PATH, LOAD_TOKEN (for who asks for one), LOAD_FIRST (number of the first body), LOAD_ITEMS.
at = tonumber(os.getenv("LOAD_FIRST"))
local items = tonumber(os.getenv("LOAD_ITEMS"))
local body = '{"token":"' .. os.getenv("LOAD_TOKEN") .. '","smartcard_identifier":{"serial_number":"%012d"},'
    .. '"stb_identifier":{"serial_number":"%010d"},"external_reference":"%010d"}'
local threads = {}
wrk.method = "POST"
wrk.path = os.getenv("LOAD_PATH")
wrk.headers["Content-Type"] = "application/json"

function setup(thread)
    table.insert(threads, thread)
end

function request()
    local item = at % items
    at = at + 1
    return wrk.format(nil, nil, nil, string.format(body, 19000000000 + item * 1000, 46100000 + item * 13, at))
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'LOAD {"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "failed": %d, "broken": %d, "next": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout, threads[1]:get("at")))
end
