"""Lookups against a real dnsmasq in a network namespace, beside servers that are dead, late, forging or cutting."""

import asyncio
import shutil
import socket
import subprocess
import sys
import threading

import dns.flags
import dns.message
import dns.rrset
import pytest

from rawproto import IP, MX, SRV, AsyncResolver, DNSError, DNSTimeoutError, Resolver, TCPAddr

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(
        shutil.which("dnsmasq") is None, reason="dnsmasq is not installed (Debian: dnsmasq-base)"
    ),
]

RECORDS = [
    "--local=/test/",
    "--host-record=www.example.test,10.0.0.1,2001:db8::1",
    "--host-record=four.example.test,10.0.0.4",
    "--host-record=six.example.test,2001:db8::6",
    "--cname=alias.example.test,middle.example.test",
    "--cname=middle.example.test,www.example.test",
    "--cname=plain.example.test,four.example.test",
    "--srv-host=_sip._tcp.example.test,sip.example.test,5060,10,5",
    "--mx-host=example.test,mail.example.test,10",
    "--txt-record=example.test,v=spf1 -all",
]
CLI = [sys.executable, "-c", "from rawproto_tools.main import main; main()", "lookup"]


@pytest.fixture
def host(lab, tmp_path):
    """A host of the lab on which dnsmasq answers at 127.0.0.1, port 53."""
    host = lab.host("a")
    many = tmp_path / "many"
    many.write_text("".join(f"10.1.{i // 200}.{i % 200 + 1} many.example.test\n" for i in range(400)))
    numbered = tmp_path / "numbered"
    numbered.write_text("".join(f"10.2.{i // 200}.{i % 200 + 1} n{i}.example.test\n" for i in range(1000)))
    argv = [
        "dnsmasq",
        "--no-daemon",  # nor a change of user, which a user namespace with one id does not allow
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
    ]
    argv += [
        "--user=root",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--log-facility=-",
        "--dns-forward-max=2000",
    ]
    argv += [*RECORDS, f"--addn-hosts={many}", f"--addn-hosts={numbered}"]
    process = host.popen(argv, stderr=subprocess.PIPE, text=True)
    try:
        heard = []
        for line in process.stderr:
            heard.append(line)
            if "addn" in line or str(numbered) in line:  # the last thing it reads
                break
        else:
            pytest.fail(f"dnsmasq did not start: {heard}")
        yield host
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture
def resolver(host):
    """Asks dnsmasq alone; used inside ``with host``."""
    return Resolver(["127.0.0.1"], hosts=None, search=["example.test"], timeout=600)


def test_records_of_every_kind(host, resolver):
    with host:
        assert sorted(resolver.lookup_host("www.example.test")) == ["10.0.0.1", "2001:db8::1"]
        assert resolver.lookup_ip("www", "ip4") == [IP("10.0.0.1")]
        assert resolver.lookup_ip("www", "ip6") == [IP("2001:db8::1")]
        assert resolver.lookup_cname("alias.example.test") == "www.example.test."
        assert resolver.lookup_ip("alias.example.test", "ip4") == [IP("10.0.0.1")]
        assert resolver.lookup_addr("10.0.0.1") == ["www.example.test."]
        assert resolver.lookup_addr("2001:db8::1") == ["www.example.test."]
        assert resolver.lookup_srv("sip", "tcp", "example.test")[1] == [SRV("sip.example.test.", 5060, 10, 5)]
        assert resolver.lookup_mx("example.test") == [MX("mail.example.test.", 10)]
        assert resolver.lookup_txt("example.test") == ["v=spf1 -all"]
        assert resolver.resolve_tcp_addr("tcp", "four:http") == TCPAddr("10.0.0.4", 80)


def test_a_name_that_does_not_exist(host, resolver):
    with host, pytest.raises(DNSError) as caught:
        resolver.lookup_host("nope.example.test")
    error = caught.value
    assert type(error) is DNSError
    assert (error.is_not_found, error.is_timeout, error.is_temporary) == (True, False, False)
    assert (error.name, error.server) == ("nope.example.test", "127.0.0.1:53")


def test_a_truncated_answer_comes_whole_over_tcp(host, resolver):
    with host:
        assert len(resolver.lookup_ip("many.example.test", "ip4")) == 400


def test_a_dead_first_server(host, with_turns):
    with host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.2", 53))
        both = with_turns(Resolver(["127.0.0.2", "127.0.0.1"], hosts=None, timeout=600), 0.3)
        assert both.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]
        alone = Resolver(["127.0.0.2"], hosts=None, timeout=0.3)
        with pytest.raises(DNSTimeoutError) as caught:
            alone.lookup_host("www.example.test")
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.is_timeout, caught.value.server) == (True, "127.0.0.2:53")


def test_a_server_that_is_not_there(host):
    with host:
        # On one's own host the kernel refuses at once; where no route leads it says so as well.
        assert Resolver(["127.0.0.9", "127.0.0.1"], hosts=None, timeout=600).lookup_ip(
            "www.example.test", "ip4"
        )
        assert Resolver(["192.0.2.1", "127.0.0.1"], hosts=None, timeout=600).lookup_ip(
            "www.example.test", "ip4"
        )
        with pytest.raises(DNSError, match="refused") as caught:
            Resolver(["127.0.0.9"], hosts=None, timeout=600).lookup_host("www.example.test")
    assert type(caught.value) is DNSError
    assert caught.value.is_temporary


def test_a_server_that_answers_late(host, fake_dns, with_turns):
    with host:
        late = fake_dns(zone={("www.example.test.", "A"): ["www.example.test. 60 A 10.9.9.9"]})
        late.answer = late.hold
        with pytest.raises(DNSTimeoutError):
            Resolver([late.address], hosts=None, timeout=0.3).lookup_ip("www.example.test", "ip4")
        # Before the deadline dnsmasq is asked as well, and whoever answers first is heard.
        both = with_turns(Resolver([late.address, "127.0.0.1"], hosts=None, timeout=600), 0.3)
        assert both.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]


def test_a_server_that_forges_another_question(host, fake_dns, with_turns):
    def forge(query, tcp):
        other = dns.message.make_query("www.example.test", "AAAA", id=query.id)
        answer = dns.message.make_response(other, recursion_available=True)
        answer.answer.append(dns.rrset.from_text("www.example.test.", 60, "IN", "AAAA", "6666::6"))
        return answer.to_wire()

    with host:
        forger = fake_dns(answer=forge)
        both = with_turns(Resolver([forger.address, "127.0.0.1"], hosts=None, timeout=600), 0.3)
        assert both.lookup_ip("www.example.test", "ip4") == [IP("10.0.0.1")]
        with pytest.raises(DNSTimeoutError):
            Resolver([forger.address], hosts=None, timeout=0.3).lookup_ip("www.example.test", "ip4")


def test_a_server_that_only_ever_truncates(host, fake_dns):
    def cut(query, tcp):
        answer = dns.message.make_response(query, recursion_available=True)
        answer.flags |= dns.flags.TC
        return answer.to_wire()

    with host:
        cutter = fake_dns(answer=cut)
        with pytest.raises(DNSError, match="malformed answer") as caught:
            Resolver([cutter.address], hosts=None, timeout=600).lookup_ip("www.example.test", "ip4")
    assert type(caught.value) is DNSError
    assert caught.value.is_temporary


@pytest.mark.timeout(900)
def test_thousand_lookups_at_once(host):
    async def lookups():
        resolver = AsyncResolver(["127.0.0.1"], hosts=None, timeout=800)
        return await asyncio.gather(*[resolver.lookup_ip(f"n{i}.example.test", "ip4") for i in range(1000)])

    with host:
        found = asyncio.run(lookups())
    assert found == [[IP(f"10.2.{i // 200}.{i % 200 + 1}")] for i in range(1000)]


def test_many_threads_at_once(host, resolver):
    def look(first):
        with host:
            for i in range(first, first + 10):
                found[i] = resolver.lookup_ip(f"n{i}.example.test", "ip4")

    found = {}
    threads = [threading.Thread(target=look, args=(first,)) for first in range(0, 300, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: [IP(f"10.2.{i // 200}.{i % 200 + 1}")] for i in range(300)}


def lines(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed (Debian: bind9-dnsutils)")
@pytest.mark.parametrize(
    ("rdtype", "name"),
    [
        ("A", "www.example.test"),
        ("AAAA", "www.example.test"),
        ("A", "alias.example.test"),
        ("CNAME", "alias.example.test"),
        ("MX", "example.test"),
        ("TXT", "example.test"),
        ("SRV", "_sip._tcp.example.test"),
        ("A", "many.example.test"),
    ],
)
def test_command_prints_what_dig_prints(host, rdtype, name):
    options = {"capture_output": True, "text": True, "timeout": 100}
    ours = lines(host.run([*CLI, "-s", "127.0.0.1", "-t", rdtype, name], **options))
    theirs = lines(host.run(["dig", "+short", "@127.0.0.1", name, rdtype], **options))
    assert theirs
    # dnsmasq turns the addresses of a name round with each question
    assert (sorted(ours), len(ours)) == (sorted(theirs), len(theirs))


@pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed (Debian: bind9-dnsutils)")
def test_command_prints_the_names_that_dig_prints(host):
    options = {"capture_output": True, "text": True, "timeout": 100}
    for address in ("10.0.0.1", "2001:db8::1"):
        theirs = lines(host.run(["dig", "+short", "@127.0.0.1", "-x", address], **options))
        assert (
            lines(host.run([*CLI, "-s", "127.0.0.1", address], **options)) == theirs == ["www.example.test."]
        )
        assert lines(host.run([*CLI, "-s", "127.0.0.1", "-t", "ptr", address], **options)) == theirs


@pytest.fixture
def system(host, tmp_path):
    """Runs a program on the host with a resolv.conf that names dnsmasq, seen by that program alone."""
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\nsearch example.test\n")
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'

    def run(*argv):
        wrapped = ["unshare", "--mount", "sh", "-c", script, str(conf), *argv]
        return host.run(wrapped, capture_output=True, text=True, timeout=100)

    if run("true").returncode:
        pytest.skip("a mount of its own for resolv.conf is not allowed here")
    return run


@pytest.mark.parametrize(
    "name", ["four.example.test", "four", "six.example.test", "plain.example.test", "10.0.0.4"]
)
def test_command_prints_what_getent_prints(system, name):
    theirs = lines(system("getent", "hosts", name))
    ours = lines(system(*CLI, "--hosts", name))
    # getent has a line's aliases behind the canonical name; of both families it prints one.
    assert [line.split()[:2] for line in ours] == [line.split()[:2] for line in theirs]
    assert theirs
    assert [line.split()[0] for line in ours] == (lines(system(*CLI, name)) if name != "10.0.0.4" else [name])


def test_command_ends_with_1_where_a_name_does_not_exist(system):
    done = system(*CLI, "four", "nope.example.test")
    assert (done.returncode, done.stdout) == (1, "10.0.0.4\n")
    assert "no such host" in done.stderr
    assert system("getent", "hosts", "nope.example.test").returncode != 0
