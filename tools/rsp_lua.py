"""The Wireshark dissector of RSP: made from its headers, and what no declaration says added in Lua by hand.

That is what follows the headers (docs/rsp.md section 2): the ranges of an ACK and the data it may carry, the options
of a handshake packet, the CRC, and the packets whose kind this version does not know.
"""

from __future__ import annotations

from rawproto.rsp import Reason, checks
from rawproto.rsp.header import LAYOUTS, Common, Kind, RSPFlags

__all__ = ["rsp_dissector"]


def rsp_dissector(*, name: str = "RSP", protocol: int | None = None, udp_port: int | None = None) -> str:
    """The text of the dissector, for RSP on IP and inside UDP.

    Args:
        name: what the protocol is called; in lower case the first part of its fields' names.
        protocol: IP protocol number that carries it; None for the default of :class:`rawproto.RSPConfig`.
        udp_port: UDP port that carries it, too.
    """
    from rawproto import RSPConfig

    number = RSPConfig().protocol if protocol is None else protocol
    plain = Common.wireshark_lua(name=name, protocol=number, udp_port=udp_port, by="kind", variants=LAYOUTS)
    reasons = ", ".join(f"[{int(reason)}] = '{reason.name}'" for reason in Reason)
    kinds = "\n".join(f"local {kind.name} = {int(kind)}" for kind in Kind)
    return "\n".join(
        [
            plain,
            "-- What follows the headers, and the rules that only docs/rsp.md states.",
            kinds,
            f"local CARRIES_DATA = {int(RSPFlags.CARRIES_DATA)}",
            f"local CRC32 = {checks.check_bit(checks.CRC32)}",
            f"local known = {{ {', '.join(f'[{Kind(kind).name}] = true' for kind in LAYOUTS)} }}",
            f"local reasons = {{ {reasons} }}",
            _BODY,
        ]
    )


# Joined to what the export makes: `choose` gives the function of a packet's header, `complain` marks what is wrong.
_BODY = """\
local extra = {
    run = ProtoField.uint32(abbreviation .. ".run", "run"),
    gap = ProtoField.uint32(abbreviation .. ".gap", "gap"),
    data_offset = ProtoField.uint64(abbreviation .. ".data_offset", "offset of the data"),
    options = ProtoField.bytes(abbreviation .. ".options", "options"),
    reason_name = ProtoField.string(abbreviation .. ".reason_name", "reason"),
    payload_length = ProtoField.uint32(abbreviation .. ".payload_length", "payload length"),
}
proto.fields = extra

-- Lua has operators for this from 5.3 on, a library before.
local xor, shift_right, mask_off
if load("return 1 ~ 1") then
    xor = load("return function(a, b) return a ~ b end")()
    shift_right = load("return function(a, n) return a >> n end")()
    mask_off = load("return function(a) return a & 255 end")()
else
    local library = bit32 or bit
    xor = function(a, b) return library.bxor(a, b) % 4294967296 end
    shift_right = function(a, n) return library.rshift(a, n) % 4294967296 end
    mask_off = function(a) return a % 256 end
end

local crc_table = {}
for byte = 0, 255 do
    local value = byte
    for _ = 1, 8 do
        local odd = value % 2 == 1
        value = shift_right(value, 1)
        if odd then value = xor(value, 0xEDB88320) end
    end
    crc_table[byte] = value
end

-- CRC-32 of ISO 3309, reflected, as in zlib.
local function crc32(range)
    local text, value = range:raw(), 0xFFFFFFFF
    for at = 1, #text do
        value = xor(crc_table[mask_off(xor(value, text:byte(at)))], shift_right(value, 8))
    end
    return xor(value, 0xFFFFFFFF)
end

-- What the connections of a capture agreed on, by both identifiers: the features in the COOKIE.
local agreed = {}

-- Handshake, path and reset always bear the CRC; elsewhere the connection may do without, or use XXH3, which is not
-- computed here.
local function check_crc(b, values, limit, tree)
    local stated, kind = b(0, 4):uint(), values.kind
    local optional = kind == DATA or kind == ACK or kind == PROBE
    local features = agreed[tostring(values.connection)]
    if kind == COOKIE then
        agreed[tostring(values.connection)] = values.features
        agreed[tostring(values.identifier)] = values.features
    end
    local other = optional and features and math.floor(features / CRC32) % 2 == 0
    if stated == 0 and optional and (other or not features) then
        tree:append_text(", no check")
    elseif other or cut then
        tree:append_text(", check unverified")
    elseif crc32(b(4, limit - 4)) == stated then
        tree:append_text(", check correct")
    elseif optional and not features then
        tree:append_text(", check is no CRC-32: XXH3, or damage")
    else
        tree:append_text(", check incorrect")
        tree:add_proto_expert_info(wrong_sum, "the CRC-32 does not match the data")
    end
end

-- The ranges of an ACK; gives where they end, or nil.
local function show_ranges(b, at, limit, tree, values)
    local finish = at + values.ranges * 8
    if finish > limit then
        complain(tree, values.ranges .. " ranges need " .. values.ranges * 8 .. " bytes, " .. (limit - at)
            .. " are there")
        return nil
    end
    local stop = values.largest + UInt64(1)
    for place = at, finish - 8, 8 do
        local run, gap = b(place, 4):uint(), b(place + 4, 4):uint()
        local branch = tree:add(b(place, 8), "range")
        branch:add(extra.run, b(place, 4))
        branch:add(extra.gap, b(place + 4, 4))
        if run == 0 or UInt64(run) > stop then
            complain(branch, "a run of no packets, or below packet 0")
            return nil
        end
        branch:append_text(": " .. tostring(stop - UInt64(run)) .. " to " .. tostring(stop - UInt64(1)))
        stop = stop - UInt64(run)
        if place < finish - 8 then
            if UInt64(gap) > stop then
                complain(branch, "a gap that leads below packet 0")
                return nil
            end
            stop = stop - UInt64(gap)
        end
    end
    return finish
end

local function after_ack(b, at, limit, tree, values)
    local finish = show_ranges(b, at, limit, tree, values)
    if not finish then return nil end
    if math.floor(values.flags / CARRIES_DATA) % 2 == 0 then
        if finish < limit then complain(tree, (limit - finish) .. " bytes behind the ranges of an ACK without data") end
        return finish
    end
    if finish + 8 > limit then
        complain(tree, "no offset behind the ranges of an ACK with data")
        return nil
    end
    tree:add(extra.data_offset, b(finish, 8))
    return finish + 8
end

local function after_hello(b, at, limit, tree, values)
    local size = values.option_length
    if at + size > limit then
        complain(tree, "options of " .. size .. " bytes, " .. (limit - at) .. " are left")
        return nil
    end
    if size > 0 then tree:add(extra.options, b(at, size)) end
    return at + size
end

local after = {
    [SYN] = after_hello, [COOKIE] = after_hello, [CONFIRM] = after_hello, [ACK] = after_ack,
    [RESET] = function(b, at, limit, tree, values)
        local name = reasons[values.reason] or "reason " .. values.reason
        tree:add(extra.reason_name, b(24, 4), name):set_generated()
        return at
    end,
}

local header_of = choose
choose = function(b)
    local dissect = header_of(b)
    return function(b, first, limit, tree, pinfo, note)
        local finish, _, values = dissect(b, first, limit, tree, pinfo, note)
        if not finish then return nil, limit, values end
        if not known[values.kind] then
            complain(tree, string.format("kind 0x%02x is none of version 1", values.kind))
            return nil, limit, values
        end
        check_crc(b, values, limit, tree)
        local rest = after[values.kind]
        if rest then finish = rest(b, finish, limit, tree, values) end
        if finish then tree:add(extra.payload_length, b(0, 0), limit - finish):set_generated() end
        return finish, limit, values
    end
end
"""
