"""Lookups of every kind against a server of the test's own: what comes back, and the exact error where nothing does."""

import asyncio
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from rawproto import (
    IP,
    MX,
    NS,
    SRV,
    AddrError,
    AsyncResolver,
    DNSError,
    DNSTimeoutError,
    IPAddr,
    Resolver,
    RSPAddr,
    TCPAddr,
    UDPAddr,
    UnknownNetworkError,
)

ZONE = {
    ("www.example.test.", "A"): ["www.example.test. 60 A 10.0.0.1"],
    ("www.example.test.", "AAAA"): ["www.example.test. 60 AAAA 2001:db8::1"],
    ("four.example.test.", "A"): ["four.example.test. 60 A 10.0.0.4"],
    ("alias.example.test.", "A"): [
        "alias.example.test. 60 CNAME middle.example.test.",
        "middle.example.test. 60 CNAME www.example.test.",
        "www.example.test. 60 A 10.0.0.1",
    ],
    ("alias.example.test.", "AAAA"): [
        "alias.example.test. 60 CNAME middle.example.test.",
        "middle.example.test. 60 CNAME www.example.test.",
        "www.example.test. 60 AAAA 2001:db8::1",
    ],
    ("example.test.", "MX"): [
        "example.test. 60 MX 20 second.example.test.",
        "example.test. 60 MX 10 first.example.test.",
    ],
    ("example.test.", "NS"): ["example.test. 60 NS ns1.example.test."],
    ("example.test.", "TXT"): ['example.test. 60 TXT "one " "text"'],
    ("_sip._tcp.example.test.", "SRV"): [
        "_sip._tcp.example.test. 60 SRV 20 0 5061 b.example.test.",
        "_sip._tcp.example.test. 60 SRV 10 5 5060 a.example.test.",
    ],
    ("1.0.0.10.in-addr.arpa.", "PTR"): ["1.0.0.10.in-addr.arpa. 60 PTR www.example.test."],
    (f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa.", "PTR"): [
        f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa. 60 PTR www.example.test."
    ],
    ("broken.example.test.", "A"): dns.rcode.SERVFAIL,
    ("broken.example.test.", "AAAA"): dns.rcode.SERVFAIL,
    ("half.example.test.", "A"): ["half.example.test. 60 A 10.0.0.7"],
    ("half.example.test.", "AAAA"): dns.rcode.SERVFAIL,
}


class Blocking(Resolver):
    """The blocking resolver under the same calls as :class:`InLoop`."""


class InLoop:
    """The asyncio resolver, each call in one loop, so that one test speaks to both."""

    def __init__(self, *args, **settings):
        self.loop = asyncio.new_event_loop()
        self.resolver = AsyncResolver(*args, **settings)

    def __getattr__(self, name):
        method = getattr(self.resolver, name)

        def call(*args, **settings):
            return self.loop.run_until_complete(method(*args, **settings))

        return call


@pytest.fixture(params=["blocking", "asyncio"])
def resolver(request, with_turns):
    """Makes resolvers of both kinds, patient ones: ``resolver(servers, **settings)``, ``turn`` as for with_turns."""
    made = []

    def make(*servers, turn=600, **settings):
        settings = {"hosts": None, "services": None, "timeout": 600, **settings}
        addresses = [getattr(server, "address", server) for server in servers]
        made.append((Blocking if request.param == "blocking" else InLoop)(addresses, **settings))
        with_turns(getattr(made[-1], "resolver", made[-1]), turn)
        return made[-1]

    yield make
    for one in made:
        if isinstance(one, InLoop):
            one.loop.close()


def test_every_kind_of_record(resolver, fake_dns):
    one = resolver(fake_dns(zone=ZONE))
    assert sorted(one.lookup_host("www.example.test")) == ["10.0.0.1", "2001:db8::1"]
    assert one.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]
    assert one.lookup_ip("www.example.test", "ip6") == [IP("2001:db8::1")]
    assert one.lookup_mx("example.test") == [MX("first.example.test.", 10), MX("second.example.test.", 20)]
    assert one.lookup_ns("example.test") == [NS("ns1.example.test.")]
    assert one.lookup_txt("example.test") == ["one text"]
    assert one.lookup_srv("sip", "tcp", "example.test") == (
        "_sip._tcp.example.test.",
        [SRV("a.example.test.", 5060, 10, 5), SRV("b.example.test.", 5061, 20, 0)],
    )
    assert one.lookup_srv("", "", "_sip._tcp.example.test")[1][0].port == 5060
    assert one.lookup_addr("10.0.0.1") == ["www.example.test."]
    assert one.lookup_addr(IP("::ffff:10.0.0.1")) == ["www.example.test."]
    assert one.lookup_addr("2001:db8::1") == ["www.example.test."]


def test_endpoints_of_names(resolver, fake_dns):
    one = resolver(fake_dns(zone=ZONE))
    assert one.resolve_ip_addr("ip6:ipv6-icmp", "www.example.test") == IPAddr("2001:db8::1")
    assert one.resolve_tcp_addr("tcp", "www.example.test:http") == TCPAddr("10.0.0.1", 80)
    assert one.resolve_tcp_addr("tcp6", "www.example.test:80") == TCPAddr("2001:db8::1", 80)
    assert one.resolve_udp_addr("udp", "four.example.test:domain") == UDPAddr("10.0.0.4", 53)
    assert one.resolve_rsp_addr("rsp+udp", "www.example.test:https") == RSPAddr("10.0.0.1", 443)
    assert sorted(one.resolve_addrs("tcp", "www.example.test:80")) == [
        TCPAddr("10.0.0.1", 80),
        TCPAddr("2001:db8::1", 80),
    ]
    with pytest.raises(UnknownNetworkError, match="unknown network ip4"):
        one.resolve_addrs("ip4", "www.example.test:80")
    with pytest.raises(AddrError, match="no suitable address"):
        one.resolve_addrs("tcp6", "10.0.0.1:80")


def test_addresses_of_both_families_are_asked_for_at_once(resolver, fake_dns):
    def answer(query, tcp):
        server.hold(query, tcp)
        if len(server.held) == 2:  # no answer before both questions are here
            server.release()

    server = fake_dns(zone=ZONE, answer=answer)
    assert len(resolver(server).lookup_host("www.example.test")) == 2
    server.wait_asked(2)
    assert server.names == [("www.example.test.", "A"), ("www.example.test.", "AAAA")]


def test_cname_chain(resolver, fake_dns):
    one = resolver(fake_dns(zone=ZONE))
    assert one.lookup_ip("alias.example.test", "ip4") == [IP("10.0.0.1")]
    assert one.lookup_cname("alias.example.test") == "www.example.test."
    assert one.lookup_cname("www.example.test") == "www.example.test."


def test_cname_that_the_server_leaves_to_us_is_followed(resolver, fake_dns):
    zone = {
        ("a.test.", "A"): ["a.test. 60 CNAME b.test."],
        ("b.test.", "A"): ["b.test. 60 CNAME c.test."],
        ("c.test.", "A"): ["c.test. 60 A 10.0.0.9"],
    }
    server = fake_dns(zone=zone)
    assert resolver(server).lookup_ip("a.test", "ip4") == [IP("10.0.0.9")]
    assert [name for name, _ in server.names] == ["a.test.", "b.test.", "c.test."]


def test_cname_without_an_address_has_a_canonical_name(resolver, fake_dns):
    zone = {(name, kind): ["a.test. 60 CNAME gone.test."] for name in ["a.test."] for kind in ("A", "AAAA")}
    one = resolver(fake_dns(zone=zone))
    assert one.lookup_cname("a.test") == "gone.test."
    with pytest.raises(DNSError) as caught:
        one.lookup_host("a.test")
    assert caught.value.is_not_found


@pytest.mark.parametrize(
    "loop", [["a.test. 60 CNAME a.test."], ["a.test. 60 CNAME b.test.", "b.test. 60 CNAME a.test."]]
)
def test_cname_loop_ends_in_an_error(resolver, fake_dns, loop):
    zone = {(name, "A"): [line for line in loop if line.startswith(name)] for name in ("a.test.", "b.test.")}
    zone["a.test.", "A"] = loop
    with pytest.raises(DNSError) as caught:
        resolver(fake_dns(zone=zone)).lookup_ip("a.test", "ip4")
    assert not caught.value.is_timeout


def test_name_that_does_not_exist(resolver, fake_dns):
    server = fake_dns(zone=ZONE)
    with pytest.raises(DNSError, match="no such host") as caught:
        resolver(server).lookup_host("nope.example.test")
    error = caught.value
    assert type(error) is DNSError
    assert (error.name, error.server) == ("nope.example.test", server.address)
    assert (error.is_not_found, error.is_timeout, error.is_temporary) == (True, False, False)


def test_name_without_such_a_record(resolver, fake_dns):
    with pytest.raises(DNSError) as caught:
        resolver(fake_dns(zone=ZONE)).lookup_ip("four.example.test", "ip6")
    assert caught.value.is_not_found


def test_server_failure_is_temporary(resolver, fake_dns):
    server = fake_dns(zone=ZONE)
    with pytest.raises(DNSError, match="server misbehaving") as caught:
        resolver(server).lookup_host("broken.example.test")
    error = caught.value
    assert (error.is_not_found, error.is_timeout, error.is_temporary) == (False, False, True)
    assert error.server == server.address
    assert len(server.asked) == 4  # both types, two attempts each


def test_failure_of_one_family_does_not_hide_the_other(resolver, fake_dns):
    assert resolver(fake_dns(zone=ZONE)).lookup_host("half.example.test") == ["10.0.0.7"]


def test_silent_server_times_out(resolver, fake_dns):
    server = fake_dns(answer=lambda query, tcp: None)
    with pytest.raises(DNSTimeoutError) as caught:
        resolver(server, timeout=0.3).lookup_ip("www.example.test", "ip4")
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.name, error.server) == ("www.example.test", server.address)
    assert (error.is_not_found, error.is_timeout, error.is_temporary) == (False, True, True)
    server.wait_asked(1)


def test_a_call_can_have_a_deadline_of_its_own(resolver, fake_dns):
    server = fake_dns(answer=lambda query, tcp: None)
    with pytest.raises(DNSTimeoutError):
        resolver(server).lookup_ip("www.example.test", "ip4", timeout=0.1)


def test_dead_first_server_is_passed_over(resolver, fake_dns, with_turns):
    silent, good = fake_dns(answer=lambda query, tcp: None), fake_dns(zone=ZONE)
    one = resolver(silent, good, turn=0.3, cache=False)
    assert one.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]
    with_turns(getattr(one, "resolver", one), 600)
    assert one.lookup_ip("four.example.test", "ip4") == [IP("10.0.0.4")]
    assert set(silent.names) == {("www.example.test.", "A")}  # and is asked last for a while


def test_closed_port_is_passed_over_at_once(resolver, fake_dns):
    # The port of a server that has gone: the kernel answers with ICMP, nobody waits.
    gone = fake_dns()
    address = gone.address
    gone.close()
    one = resolver(address, fake_dns(zone=ZONE))
    assert one.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]


def test_refused_everywhere_is_no_timeout(resolver, fake_dns):
    gone = fake_dns()
    address = gone.address
    gone.close()
    with pytest.raises(DNSError, match="connection refused") as caught:
        resolver(address).lookup_host("www.example.test")
    assert caught.value.is_temporary
    assert not caught.value.is_timeout


def test_answer_that_comes_after_the_next_server_was_asked_still_counts(resolver, fake_dns):
    first = fake_dns(zone=ZONE)
    first.answer = first.hold

    def answer(query, tcp):
        first.wait_asked(1)
        first.release()

    second = fake_dns(answer=answer)
    assert resolver(first, second, turn=0.3).lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]
    second.wait_asked(1)


def test_answer_that_comes_after_the_deadline_is_too_late(resolver, fake_dns):
    server = fake_dns(zone=ZONE)
    server.answer = server.hold
    one = resolver(server, timeout=0.2)
    with pytest.raises(DNSTimeoutError):
        one.lookup_ip("www.example.test", "ip4")
    server.wait_asked(1)
    server.release()
    server.answer = lambda query, tcp: dns.message.make_response(query, recursion_available=True).to_wire()
    with pytest.raises(DNSError, match="no such host"):  # what the server says now, not what came late
        one.lookup_ip("www.example.test", "ip4", timeout=600)


def forged(kind, server, query):
    """A message that must not be taken for the answer to ``query``."""
    if kind == "other id":
        answer = server.reply(query)
        answer.id ^= 1
    elif kind == "other name":
        other = dns.message.make_query("evil.test", "A", id=query.id)
        answer = dns.message.make_response(other, recursion_available=True)
        answer.answer.append(dns.rrset.from_text("evil.test.", 60, "IN", "A", "6.6.6.6"))
    elif kind == "other type":
        answer = dns.message.make_response(dns.message.make_query(query.question[0].name, "TXT", id=query.id))
    elif kind == "no response":
        return query.to_wire()
    elif kind == "short":
        return query.to_wire()[:7]
    else:
        return b"\xff" * 40
    return answer.to_wire()


@pytest.mark.parametrize("kind", ["other id", "other name", "other type", "no response", "short", "rubbish"])
def test_message_that_does_not_answer_the_question_is_ignored(resolver, fake_dns, kind):
    server = fake_dns(zone=ZONE)
    server.answer = lambda query, tcp: [
        forged(kind, server, query),
        server.reply(query).to_wire(max_size=65535),
    ]
    assert resolver(server).lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]
    assert len(server.asked) == 1


def test_only_forged_answers_end_in_a_timeout(resolver, fake_dns):
    server = fake_dns(zone=ZONE)
    server.answer = lambda query, tcp: forged("other name", server, query)
    with pytest.raises(DNSTimeoutError):
        resolver(server, timeout=0.3).lookup_ip("www.example.test", "ip4")


def test_malformed_answer_to_our_question_is_the_servers_failure(resolver, fake_dns):
    server = fake_dns(zone=ZONE)
    server.answer = lambda query, tcp: server.reply(query).to_wire(max_size=65535)[:-3]
    with pytest.raises(DNSError, match="malformed answer") as caught:
        resolver(server).lookup_ip("www.example.test", "ip4")
    assert caught.value.is_temporary


def truncating(server):
    def answer(query, tcp):
        if tcp:
            return server.reply(query).to_wire(max_size=65535)
        short = dns.message.make_response(query, recursion_available=True)
        short.flags |= dns.flags.TC
        return short.to_wire()

    return answer


def test_truncated_answer_is_asked_for_again_over_tcp(resolver, fake_dns):
    many = [f"many.test. 60 A 10.1.{i // 256}.{i % 256}" for i in range(1000)]
    server = fake_dns(zone={("many.test.", "A"): many})
    server.answer = truncating(server)
    addresses = resolver(server).lookup_ip("many.test", "ip4")
    assert len(addresses) == 1000
    assert [transport for *_, transport in server.asked] == ["udp", "tcp"]


def test_server_without_edns_is_asked_without(resolver, fake_dns):
    def answer(query, tcp):
        if query.edns >= 0:
            refusal = dns.message.make_response(query)
            refusal.use_edns(False)
            refusal.set_rcode(dns.rcode.FORMERR)
            return refusal.to_wire()
        return server.reply(query).to_wire(max_size=65535)

    server = fake_dns(zone=ZONE, answer=answer)
    assert resolver(server).lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]


def test_lame_server_is_passed_over(resolver, fake_dns):
    def lame(query, tcp):
        return dns.message.make_response(query).to_wire()

    one = resolver(fake_dns(answer=lame), fake_dns(zone=ZONE))
    assert one.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]


def test_search_list_and_ndots(resolver, fake_dns):
    server = fake_dns(zone=ZONE)
    one = resolver(server, search=["nowhere.test", "example.test."], ndots=1, cache=False)
    assert one.lookup_ip("four", "ip4") == [IP("10.0.0.4")]
    assert [name for name, _ in server.names] == ["four.nowhere.test.", "four.example.test."]
    server.asked.clear()
    assert one.lookup_ip("four.example.test", "ip4") == [IP("10.0.0.4")]
    assert [name for name, _ in server.names] == ["four.example.test."]
    server.asked.clear()
    with pytest.raises(DNSError) as caught:
        one.lookup_ip("four.", "ip4")  # a full name: no search
    assert caught.value.name == "four."
    assert [name for name, _ in server.names] == ["four."]
    server.asked.clear()
    with pytest.raises(DNSError) as caught:
        one.lookup_ip("x.y", "ip4")
    assert caught.value.name == "x.y"
    assert [name for name, _ in server.names] == ["x.y.", "x.y.nowhere.test.", "x.y.example.test."]


@pytest.mark.parametrize(
    "name", ["127.1", "01.2.3.4", "2130706433", "a..b", "日本", "x.onion", "-", "a b", "", "1.2.3.4%lo"]
)
def test_what_is_no_name_is_refused_without_a_question(resolver, fake_dns, name):
    server = fake_dns(zone=ZONE)
    with pytest.raises(DNSError, match="no such host"):
        resolver(server).lookup_host(name)
    assert not server.asked


def test_cache_keeps_answers_and_refusals(resolver, fake_dns):
    server = fake_dns(zone=ZONE)
    one = resolver(server)
    for _ in range(3):
        assert one.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]
        with pytest.raises(DNSError, match="no such host"):
            one.lookup_ip("nope.test", "ip4")
    assert server.names == [("www.example.test.", "A"), ("nope.test.", "A")]
    one.lookup_ip("WWW.Example.Test", "ip4")
    assert len(server.asked) == 2  # names are the same in any case of letters
    getattr(one, "resolver", one).clear_cache()
    assert one.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]
    assert len(server.asked) == 3


def test_cache_can_be_switched_off(resolver, fake_dns):
    server = fake_dns(zone=ZONE)
    one = resolver(server, cache=False)
    for _ in range(3):
        one.lookup_ip("www.example.test", "ip4")
    assert len(server.asked) == 3


def test_failures_are_not_cached(resolver, fake_dns):
    server = fake_dns(zone=dict(ZONE))
    one = resolver(server)
    with pytest.raises(DNSError, match="misbehaving"):
        one.lookup_ip("broken.example.test", "ip4")
    server.zone["broken.example.test.", "A"] = ["broken.example.test. 60 A 10.0.0.8"]
    assert one.lookup_ip("broken.example.test", "ip4") == [IP("10.0.0.8")]


def test_records_with_names_that_are_none_are_left_out(resolver, fake_dns):
    zone = {
        ("a.test.", "MX"): ["a.test. 60 MX 1 <script>.test.", "a.test. 60 MX 2 good.test."],
        ("b.test.", "MX"): ["b.test. 60 MX 1 <script>.test."],
    }
    one = resolver(fake_dns(zone=zone))
    assert one.lookup_mx("a.test") == [MX("good.test.", 2)]
    with pytest.raises(DNSError, match="no valid name"):
        one.lookup_mx("b.test")


def test_identical_questions_in_flight_are_merged_in_a_loop(fake_dns, with_turns):
    async def lookups():
        resolver = with_turns(AsyncResolver([server.address], hosts=None, cache=False, timeout=600), 600)
        return await asyncio.gather(*[resolver.lookup_ip("www.example.test", "ip4") for _ in range(100)])

    server = fake_dns(zone=ZONE)
    assert asyncio.run(lookups()) == [[IP("10.0.0.1")]] * 100
    assert len(server.asked) == 1


def test_identical_questions_in_flight_are_merged_over_threads(fake_dns, with_turns):
    def answer(query, tcp):
        if query.question[0].name.to_text() == "hold.test.":
            everybody.wait()
        return server.reply(query).to_wire(max_size=65535)

    def look():
        everybody.wait()
        results.append(resolver.lookup_ip("www.example.test", "ip4"))

    # While the server's one thread holds, all lookups of the other name come to share one question.
    everybody = threading.Barrier(9, timeout=60)
    results = []
    server = fake_dns(zone={**ZONE, ("hold.test.", "A"): ["hold.test. 60 A 10.0.0.1"]}, answer=answer)
    resolver = with_turns(Resolver([server.address], hosts=None, cache=True, timeout=600), 600)
    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    resolver.lookup_ip("hold.test", "ip4")
    for thread in threads:
        thread.join()
    assert results == [[IP("10.0.0.1")]] * 8
    assert server.names.count(("www.example.test.", "A")) == 1


def test_cancelled_lookup_is_gone_and_its_sockets_closed(fake_dns):
    async def cancel():
        resolver = AsyncResolver([server.address], hosts=None, timeout=600)
        lookup = asyncio.create_task(resolver.lookup_host("www.example.test"))
        await asyncio.to_thread(server.wait_asked, 2)
        driver = resolver._driver()
        assert len(driver._flights) == 2
        lookup.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lookup
        return driver

    server = fake_dns(answer=lambda query, tcp: None)
    driver = asyncio.run(cancel())
    assert not driver._flights
    assert not driver._hub._channels
    assert not driver._hub._open_udp


def test_cancelling_one_of_two_lookups_leaves_the_other(fake_dns):
    async def cancel():
        resolver = AsyncResolver([server.address], hosts=None, timeout=600)
        first = asyncio.create_task(resolver.lookup_ip("www.example.test", "ip4"))
        second = asyncio.create_task(resolver.lookup_ip("www.example.test", "ip4"))
        await asyncio.to_thread(server.wait_asked, 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go.set()
        return await second

    def answer(query, tcp):
        with server.changed:
            server.asked.append(("early", "", ""))
            server.changed.notify_all()
        assert go.wait(60)
        return server.reply(query).to_wire(max_size=65535)

    go = threading.Event()
    server = fake_dns(zone=ZONE, answer=answer)
    assert asyncio.run(cancel()) == [IP("10.0.0.1")]


def test_lookup_with_a_longer_deadline_outlives_the_one_it_joined(fake_dns):
    async def both():
        resolver = AsyncResolver([server.address], hosts=None)
        short = asyncio.create_task(resolver.lookup_ip("www.example.test", "ip4", timeout=0.2))
        await asyncio.to_thread(server.wait_asked, 1)
        long = asyncio.create_task(resolver.lookup_ip("www.example.test", "ip4", timeout=60))
        with pytest.raises(DNSTimeoutError):
            await short
        deaf.clear()
        return await long

    deaf = threading.Event()
    deaf.set()
    server = fake_dns(zone=ZONE)
    server.answer = lambda query, tcp: None if deaf.is_set() else server.reply(query).to_wire(max_size=65535)
    assert asyncio.run(both()) == [IP("10.0.0.1")]


def test_silent_server_does_not_keep_other_lookups_waiting(fake_dns):
    async def lookups():
        resolver = AsyncResolver([server.address], hosts=None, cache=False, timeout=600)
        stuck = [asyncio.create_task(resolver.lookup_ip(f"silent{i}.test", "ip4")) for i in range(500)]
        await asyncio.sleep(0)
        answer = await resolver.lookup_ip("www.example.test", "ip4")
        sockets = resolver._driver()._hub._udp_count
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        return answer, sockets, resolver._driver()._hub._udp_count

    def answer(query, tcp):
        silent = query.question[0].name.to_text().startswith("silent")
        return None if silent else server.reply(query).to_wire(max_size=65535)

    server = fake_dns(zone=ZONE, answer=answer)
    found, sockets, after = asyncio.run(lookups())
    assert found == [IP("10.0.0.1")]
    assert sockets <= 128
    assert after == 0


@pytest.mark.timeout(900)
def test_thousand_lookups_at_once_in_a_loop(fake_dns, with_turns):
    async def lookups():
        resolver = with_turns(AsyncResolver([server.address], hosts=None, timeout=800), 600)
        return await asyncio.gather(*[resolver.lookup_ip(f"h{i}.test", "ip4") for i in range(1000)])

    zone = {(f"h{i}.test.", "A"): [f"h{i}.test. 60 A 10.2.{i // 256}.{i % 256}"] for i in range(1000)}
    server = fake_dns(zone=zone)
    assert asyncio.run(lookups()) == [[IP(f"10.2.{i // 256}.{i % 256}")] for i in range(1000)]


def test_resolver_serves_one_loop_after_another_and_keeps_none(fake_dns):
    server = fake_dns(zone=ZONE)
    resolver = AsyncResolver([server.address], hosts=None, cache=False, timeout=600)
    for _ in range(3):
        assert asyncio.run(resolver.lookup_ip("www.example.test", "ip4")) == [IP("10.0.0.1")]
    assert len(resolver._drivers) == 1
