-- For wrk: asks for tags 0 to COUNT-1 of a repository in no order. Arguments: repository, count.
local repository, count

function init(arguments)
    repository, count = arguments[1], tonumber(arguments[2])
    math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 100000)
end

function request()
    return wrk.format("GET", string.format("/v2/%s/manifests/t%07d", repository, math.random(0, count - 1)))
end
