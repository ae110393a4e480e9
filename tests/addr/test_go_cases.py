"""Every shared observation of Go's ``net`` that this room can reach (the resolvers' are in tests/resolve)."""

import json
from pathlib import Path

import pytest

from rawproto import (
    IP,
    AddrError,
    IPAddr,
    IPMask,
    IPNet,
    TCPAddr,
    UDPAddr,
    cidr_mask,
    ipv4,
    ipv4_mask,
    join_host_port,
    parse_cidr,
    parse_ip,
    split_host_port,
)

CASES = Path(__file__).parent / "data" / "go_net.jsonl"


def go_ip(text):
    return IP(bytes.fromhex(text))


def optional_ip(text):
    return go_ip(text) if text else None


def hexed(value):
    return None if value is None else value.hex()


def sixteen(value):
    return value.to16().hex()


def cidr_result(text):
    ip, net = parse_cidr(text)
    return {"ip": sixteen(ip), "mask": net.mask.hex(), "net": str(net), "net_ip": net.ip.hex()}


FUNCTIONS = {
    "ParseIP": lambda text: sixteen(parse_ip(text)),
    "IPv4": lambda *octets: sixteen(ipv4(*octets)),
    "IPv4Mask": lambda *octets: ipv4_mask(*octets).hex(),
    "CIDRMask": lambda ones, bits: cidr_mask(ones, bits).hex(),
    "IP.String": lambda ip: str(go_ip(ip)),
    "IP.To4": lambda ip: hexed(go_ip(ip).to4()),
    "IP.To16": lambda ip: sixteen(go_ip(ip)),
    "IP.DefaultMask": lambda ip: hexed(go_ip(ip).default_mask()),
    "IP.Mask": lambda ip, mask: go_ip(ip).mask(IPMask(bytes.fromhex(mask))).hex(),
    "IP.Equal": lambda one, other: go_ip(one).equal(go_ip(other)),
    "IP.IsLoopback": lambda ip: go_ip(ip).is_loopback,
    "IP.IsPrivate": lambda ip: go_ip(ip).is_private,
    "IP.IsMulticast": lambda ip: go_ip(ip).is_multicast,
    "IP.IsUnspecified": lambda ip: go_ip(ip).is_unspecified,
    "IP.IsGlobalUnicast": lambda ip: go_ip(ip).is_global_unicast,
    "IP.IsLinkLocalUnicast": lambda ip: go_ip(ip).is_link_local_unicast,
    "IP.IsLinkLocalMulticast": lambda ip: go_ip(ip).is_link_local_multicast,
    "IP.IsInterfaceLocalMulticast": lambda ip: go_ip(ip).is_interface_local_multicast,
    "IPMask.Size": lambda mask: list(IPMask(bytes.fromhex(mask)).size()),
    "IPMask.String": lambda mask: str(IPMask(bytes.fromhex(mask))),
    "ParseCIDR": cidr_result,
    "IPNet.String": lambda ip, mask: str(IPNet(go_ip(ip), IPMask(bytes.fromhex(mask)))),
    "IPNet.Contains": lambda ip, mask, probe: IPNet(go_ip(ip), bytes.fromhex(mask)).contains(go_ip(probe)),
    "SplitHostPort": lambda text: list(split_host_port(text)),
    "JoinHostPort": join_host_port,
    "IPAddr.String": lambda ip, zone: str(IPAddr(optional_ip(ip), zone)),
    "TCPAddr.String": lambda ip, port, zone: str(TCPAddr(optional_ip(ip), port, zone)),
    "UDPAddr.String": lambda ip, port, zone: str(UDPAddr(optional_ip(ip), port, zone)),
}
RESOLVING = {"ResolveTCPAddr", "ResolveUDPAddr", "ResolveIPAddr", "LookupPort", "LookupHost", "LookupAddr"}


def read_cases():
    by_function = {}
    for line in CASES.read_text(encoding="ascii").splitlines():
        case = json.loads(line)
        by_function.setdefault(case["fn"], []).append(case)
    return by_function


BY_FUNCTION = read_cases()


def observe(function, args):
    """What Go's words ok and result come to here: a raised AddrError and None are both "no"."""
    try:
        result = FUNCTIONS[function](*args)
    except AddrError:
        return False, None
    return result is not None, result


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_observations_of_go_hold(function):
    cases = BY_FUNCTION[function]
    wrong = [
        (case["args"], case["ok"], case["result"], observe(function, case["args"]))
        for case in cases
        if observe(function, case["args"]) != (case["ok"], case["result"])
    ]
    assert cases
    assert not wrong


def test_no_observation_is_left_out():
    assert set(BY_FUNCTION) == set(FUNCTIONS) | RESOLVING
    assert sum(map(len, BY_FUNCTION.values())) == 2082
