"""Every shared observation of Go's resolvers and port lookups, without a single question to a server."""

import asyncio
import json
from pathlib import Path

import pytest

from rawproto import AddrError, AsyncResolver, DNSError, Resolver, UnknownNetworkError

CASES = Path(__file__).parent.parent / "addr" / "data" / "go_net.jsonl"
NO = (AddrError, DNSError, UnknownNetworkError)

# Nothing listens on the discard port: a lookup that asked a server would fail with another reason than "no such host".
SETTINGS = {"nameservers": ["127.0.0.1:9"], "hosts": None, "services": None}


def sixteen(ip):
    return None if ip is None else ip.to16().hex()


def ip_result(addr):
    return {"ip": sixteen(addr.ip), "zone": addr.zone}


def port_result(addr):
    return {"ip": sixteen(addr.ip), "port": addr.port, "zone": addr.zone}


# method, what the observation holds of its result
FUNCTIONS = {
    "ResolveIPAddr": ("resolve_ip_addr", ip_result),
    "ResolveTCPAddr": ("resolve_tcp_addr", port_result),
    "ResolveUDPAddr": ("resolve_udp_addr", port_result),
    "LookupPort": ("lookup_port", int),
    "LookupHost": ("lookup_host", list),
    "LookupAddr": ("lookup_addr", list),
}


def cases_of(function):
    cases = map(json.loads, CASES.read_text(encoding="ascii").splitlines())
    return [case for case in cases if case["fn"] == function]


def sync_observe(method, args):
    return getattr(Resolver(**SETTINGS), method)(*args)


def async_observe(method, args):
    async def lookup():
        return await getattr(AsyncResolver(**SETTINGS), method)(*args)

    return asyncio.run(lookup())


@pytest.mark.parametrize("observe", [sync_observe, async_observe], ids=["blocking", "asyncio"])
@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_observations_of_go_hold(function, observe):
    method, shape = FUNCTIONS[function]
    cases = cases_of(function)
    wrong = []
    for case in cases:
        try:
            seen = True, shape(observe(method, case["args"])), None
        except NO as error:
            seen = False, None, error
        if seen[:2] != (case["ok"], case["result"]):
            wrong.append((case["args"], case["result"], case["err"], seen))
    assert cases
    assert not wrong


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_errors_are_of_the_class_that_go_names(function):
    method, _ = FUNCTIONS[function]
    kinds = {"AddrError": AddrError, "DNSError": DNSError, "UnknownNetworkError": UnknownNetworkError}
    resolver = Resolver(**SETTINGS)
    wrong = []
    for case in cases_of(function):
        # A network that only fails in the port's lookup is an AddrError to Go 1.19, with "unknown network" in its text.
        named = "UnknownNetworkError" if "unknown network" in case["err"] else case.get("errtype")
        if named:
            try:
                getattr(resolver, method)(*case["args"])
            except NO as error:
                if type(error) is not kinds[named] or (
                    named == "DNSError" and "no such host" in case["err"]
                ) != bool(getattr(error, "is_not_found", False)):
                    wrong.append((case["args"], named, error))
    assert not wrong
