"""The part of every generated dissector that does not depend on the header. Lua 5.2 to 5.4, Wireshark 3.6 and later."""

__all__ = ["PRELUDE"]

PRELUDE = """\
local malformed = ProtoExpert.new(abbreviation .. ".malformed", "Malformed", expert.group.MALFORMED,
    expert.severity.ERROR)
local truncated = ProtoExpert.new(abbreviation .. ".truncated", "Cut off by the capture", expert.group.UNDECODED,
    expert.severity.NOTE)
local wrong_sum = ProtoExpert.new(abbreviation .. ".bad_checksum", "Bad checksum", expert.group.CHECKSUM,
    expert.severity.WARN)
proto.experts = { malformed, truncated, wrong_sum }

local source4, target4 = Field.new("ip.src"), Field.new("ip.dst")
local source6, target6 = Field.new("ipv6.src"), Field.new("ipv6.dst")
local cut = false

-- Mark an item: the bytes are wrong, or the capture does not have them.
local function complain(item, text)
    item:add_proto_expert_info(cut and truncated or malformed, text)
end

-- Ones-complement sum of 16-bit words (RFC 1071), not folded.
local function sum(range)
    local total, length = 0, range:len()
    for at = 0, length - 2, 2 do total = total + range:range(at, 2):uint() end
    if length % 2 == 1 then total = total + range:range(length - 1, 1):uint() * 256 end
    return total
end

-- Sum of the pseudo header of the enclosing IP header; nil when there is none.
local function pseudo_sum(pinfo, protocol, length)
    for _, pair in ipairs({ { source4, target4 }, { source6, target6 } }) do
        local sources, targets = { pair[1]() }, { pair[2]() }
        local source, target = sources[#sources], targets[#targets]
        if source and tostring(source.value) == tostring(pinfo.net_src) then
            return sum(source.range) + sum(target.range) + protocol + math.floor(length / 65536) + length % 65536
        end
    end
    return nil
end

-- Compare a checksum, which stands at an offset of the covered bytes, with what they make without it.
local function verify(item, covered, value, offset, pinfo, protocol, zero_is_none)
    if zero_is_none and value == 0 then
        item:append_text(" [none]")
        return
    end
    local total = 0
    if protocol then total = pseudo_sum(pinfo, protocol, covered:len()) end
    if cut or not total then
        item:append_text(" [unverified]")
        return
    end
    local own = value
    if offset % 2 == 1 then own = math.floor(value / 256) + value % 256 * 256 end
    total = total + sum(covered) - own
    -- Zero and 65535 are one number in this arithmetic.
    if (total + value) % 65535 == 0 then
        item:append_text(" [correct]")
    else
        item:append_text(" [incorrect]")
        item:add_proto_expert_info(wrong_sum, "checksum does not match the data")
    end
end
"""
