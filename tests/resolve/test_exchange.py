"""One question on its way to an answer, without sockets and with the time in hand."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto import IP, DNSError, DNSTimeoutError
from rawproto.resolve.exchange import LOCAL_RETRY, Exchange
from rawproto.resolve.message import Answer, Question, encode_query, read_reply

A, B = ("192.0.2.1", 53), ("192.0.2.2", 53)
QUESTION = Question("www.test.", "A")


def start(*servers, deadline=8.0, **settings):
    ids = iter(range(1000, 2000))
    return Exchange(
        QUESTION, servers or (A, B), deadline=deadline, now=0.0, ident=lambda: next(ids), **settings
    )


def answer_to(payload, *records, rcode=dns.rcode.NOERROR, truncated=False):
    response = dns.message.make_response(dns.message.from_wire(payload), recursion_available=True)
    response.set_rcode(rcode)
    if truncated:
        response.flags |= dns.flags.TC
    for record in records or ("10.0.0.1",):
        response.answer.append(dns.rrset.from_text("www.test.", 60, "IN", "A", record))
    return response.to_wire()


def sends(exchange, now):
    """What is sent at ``now``."""
    found = []
    while (send := exchange.poll_send(now)) is not None:
        found.append(send)
    return found


def test_servers_are_asked_in_turn_until_the_deadline():
    exchange = start()
    timeline = []
    now = 0.0
    while exchange.outcome is None:
        timeline += [(now, send.server) for send in sends(exchange, now)]
        now = exchange.poll_timeout()
        exchange.handle_timeout(now)
    # Two servers, two rounds, eight seconds: two seconds each.
    assert timeline == [(0.0, A), (2.0, B), (4.0, A), (6.0, B)]
    assert isinstance(exchange.outcome, DNSTimeoutError)
    assert exchange.silent == {A, B}
    assert exchange.poll_timeout() is None
    assert exchange.poll_send(now) is None


def test_the_configured_timeout_holds_where_it_is_shorter():
    exchange = start(timeout=1.0)
    sends(exchange, 0.0)
    assert exchange.poll_timeout() == 1.0


def test_the_first_answer_ends_it_whoever_gives_it():
    exchange = start()
    (first,) = sends(exchange, 0.0)
    (second,) = sends(exchange, 2.0)
    assert exchange.silent == {A}
    exchange.handle_message(first.token, answer_to(first.payload), 3.0)
    assert isinstance(exchange.outcome, Answer)
    assert exchange.outcome.records == (IP("10.0.0.1"),)
    assert exchange.outcome.server == "192.0.2.1:53"
    assert exchange.silent == set()
    assert second.ident != first.ident
    exchange.handle_message(second.token, answer_to(second.payload, "6.6.6.6"), 3.0)
    exchange.handle_error(second.token, "refused", 3.0)
    assert exchange.outcome.records == (IP("10.0.0.1"),)


def test_asked_again_a_server_hears_the_same_id():
    exchange = start(A, deadline=4.0)
    (first,) = sends(exchange, 0.0)
    (again,) = sends(exchange, 2.0)
    assert (again.token, again.payload) == (first.token, first.payload)


def test_a_refusal_brings_the_next_turn_at_once():
    exchange = start()
    (first,) = sends(exchange, 0.0)
    exchange.handle_error(first.token, "connection refused", 0.1)
    (second,) = sends(exchange, 0.1)
    assert second.server == B
    exchange.handle_message(second.token, answer_to(second.payload, rcode=dns.rcode.SERVFAIL), 0.2)
    assert [send.server for send in sends(exchange, 0.2)] == [A]


def test_when_every_turn_has_failed_the_last_reason_is_the_error():
    exchange = start(A, attempts=1)
    (send,) = sends(exchange, 0.0)
    exchange.handle_error(send.token, "connection refused", 0.1)
    assert type(exchange.outcome) is DNSError
    assert (exchange.outcome.reason, exchange.outcome.server) == ("connection refused", "192.0.2.1:53")


def test_one_that_is_silent_is_waited_for_when_the_others_have_failed():
    exchange = start(attempts=1, deadline=4.0)
    (first,) = sends(exchange, 0.0)
    (second,) = sends(exchange, 2.0)
    exchange.handle_error(second.token, "connection refused", 2.1)
    assert exchange.outcome is None
    assert exchange.poll_timeout() == 4.0
    exchange.handle_message(first.token, answer_to(first.payload), 3.9)
    assert isinstance(exchange.outcome, Answer)


def test_a_fault_of_this_host_is_tried_again_soon():
    exchange = start(A, attempts=1)
    (send,) = sends(exchange, 0.0)
    exchange.handle_error(send.token, "too many open files", 0.0, local=True)
    assert sends(exchange, 0.0) == []
    assert exchange.poll_timeout() == LOCAL_RETRY
    assert [one.token for one in sends(exchange, LOCAL_RETRY)] == [send.token]


def test_truncation_goes_to_tcp_of_the_same_server():
    exchange = start()
    (send,) = sends(exchange, 0.0)
    exchange.handle_message(send.token, answer_to(send.payload, truncated=True), 0.1)
    (tcp,) = sends(exchange, 0.1)
    assert (tcp.server, tcp.tcp, send.tcp) == (A, True, False)
    exchange.handle_message(tcp.token, answer_to(tcp.payload), 0.2)
    assert isinstance(exchange.outcome, Answer)


def test_tcp_that_fails_passes_to_the_next_server():
    exchange = start()
    (send,) = sends(exchange, 0.0)
    exchange.handle_message(send.token, answer_to(send.payload, truncated=True), 0.1)
    (tcp,) = sends(exchange, 0.1)
    exchange.handle_message(tcp.token, b"rubbish", 0.2)
    assert [one.server for one in sends(exchange, 0.2)] == [B]


def test_tcp_only():
    assert all(send.tcp for send in sends(start(use_tcp=True), 0.0))


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
def test_a_server_that_does_not_understand_is_asked_without_edns(rcode):
    exchange = start()
    (send,) = sends(exchange, 0.0)
    assert dns.message.from_wire(send.payload).edns == 0
    exchange.handle_message(send.token, answer_to(send.payload, rcode=rcode), 0.1)
    (again,) = sends(exchange, 0.1)
    assert (again.server, dns.message.from_wire(again.payload).edns) == (A, -1)
    exchange.handle_message(again.token, answer_to(again.payload, rcode=rcode), 0.2)
    assert [one.server for one in sends(exchange, 0.2)] == [B]


@given(st.binary(max_size=80))
def test_whatever_arrives_there_is_no_other_error(data):
    exchange = start(A)
    (send,) = sends(exchange, 0.0)
    for message in (data, send.payload[:2] + data, answer_to(send.payload)[: 20 + len(data)] + data):
        exchange.handle_message(send.token, message, 0.1)
        sends(exchange, 0.1)
    assert exchange.outcome is None or isinstance(exchange.outcome, (Answer, DNSError))


@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_damaged_answers_are_read_or_refused(position, damage):
    query = encode_query(QUESTION, 7, edns=True)
    data = bytearray(answer_to(query, "10.0.0.1", "10.0.0.2"))
    position %= len(data)
    data[position : position + len(damage)] = damage
    reply = read_reply(bytes(data), QUESTION, 7, "s")
    assert reply is None or reply.answer or reply.refusal or reply.truncated


@pytest.mark.parametrize("name", ["www.test.", "WWW.TEST.", "wWw.TeSt."])
def test_the_question_is_compared_in_any_case_of_letters(name):
    response = dns.message.make_response(dns.message.make_query(name, "A", id=7), recursion_available=True)
    assert read_reply(response.to_wire(), QUESTION, 7, "s").answer is not None
