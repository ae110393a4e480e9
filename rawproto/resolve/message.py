"""Questions to bytes and bytes to answers, by dnspython; nothing else of the room knows the DNS format."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from rawproto.addr.ip import IP
from rawproto.resolve.records import MX, NS, SRV

__all__ = ["Answer", "Question", "Reply", "encode_query", "read_reply"]

UDP_PAYLOAD = 1232
"""Largest UDP answer asked for (EDNS): fits an IPv6 path of 1280 bytes unfragmented (DNS flag day 2020)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """A full name with its final dot, in lower case, and a record type such as "A"."""

    name: str
    type: str


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a server said about a question: records, or that there are none.

    Attributes:
        question: the question.
        records: IP for A and AAAA, text with a final dot for CNAME and PTR, text for TXT, else MX, NS, SRV.
        canonical: the name at the end of the CNAME chain, with a final dot.
        exists: False for NXDOMAIN.
        complete: False where a CNAME chain ended before the records and the server did not say that there are none.
        ttl: seconds for which the answer holds; 0 where it must not be kept.
        server: who said so, as host:port.
        rdatas: dnspython's own values: the chain's CNAME records, then those asked for.
    """

    question: Question
    records: tuple[Any, ...]
    canonical: str
    exists: bool
    complete: bool
    ttl: int
    server: str
    rdatas: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """A message that answers the question asked: an answer, a truncated one, or a server's refusal.

    Attributes:
        answer: the answer, or None.
        truncated: ask again over TCP.
        refusal: why the server gave no answer, or "".
        temporary: the refusal may pass.
        no_edns: the server does not understand EDNS (RFC 6891 section 7).
    """

    answer: Answer | None = None
    truncated: bool = False
    refusal: str = ""
    temporary: bool = False
    no_edns: bool = False


@functools.lru_cache(maxsize=512)
def _query_wire(name: str, rdtype: str, edns: bool) -> bytes:
    query = dns.message.make_query(name, rdtype, id=0)
    if edns:
        query.use_edns(0, payload=UDP_PAYLOAD)
    return query.to_wire()


def encode_query(question: Question, ident: int, *, edns: bool) -> bytes:
    """The query message: recursion desired, class IN, ``ident`` as its ID."""
    return ident.to_bytes(2) + _query_wire(question.name, question.type, edns)[2:]


def read_reply(data: bytes, question: Question, ident: int, server: str) -> Reply | None:
    """Read a message from the network, whatever its bytes.

    Gives None for a message that does not answer this question (other ID, not a response, other question): it is
    somebody's late answer or a forgery, and says nothing about the server.
    """
    if len(data) < 12 or data[:2] != ident.to_bytes(2) or not data[2] & 0x80:
        return None
    try:
        head = dns.message.from_wire(data, question_only=True)
        if head.opcode() != dns.opcode.QUERY or not _asks(head, question):
            return None
    except (dns.exception.DNSException, ValueError):
        return None
    if head.flags & dns.flags.TC:
        return Reply(truncated=True)
    try:
        return _judge(dns.message.from_wire(data), question, server)
    except (dns.exception.DNSException, ValueError):
        return Reply(refusal="malformed answer", temporary=True)


def _asks(message: dns.message.Message, question: Question) -> bool:
    if len(message.question) != 1:
        return False
    asked = message.question[0]
    return (
        asked.rdclass == dns.rdataclass.IN
        and asked.rdtype == dns.rdatatype.from_text(question.type)
        and asked.name.to_text().lower() == question.name
    )


def _judge(message: dns.message.Message, question: Question, server: str) -> Reply:
    rcode = message.rcode()
    if rcode in (dns.rcode.FORMERR, dns.rcode.NOTIMP) or rcode == dns.rcode.BADVERS:
        return Reply(refusal="server misbehaving", no_edns=True)
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Reply(refusal="server misbehaving", temporary=rcode == dns.rcode.SERVFAIL)
    if not isinstance(message, dns.message.QueryMessage):
        return Reply(refusal="malformed answer", temporary=True)
    helpful = message.flags & (dns.flags.AA | dns.flags.RA) or message.answer or message.additional
    if rcode == dns.rcode.NOERROR and not helpful:
        return Reply(refusal="lame referral", temporary=True)
    chain = message.resolve_chaining()
    records = () if chain.answer is None else tuple(_value(rdata) for rdata in chain.answer)
    denied = any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority)
    return Reply(
        Answer(
            question=question,
            records=records,
            canonical=chain.canonical_name.to_text(),
            exists=rcode == dns.rcode.NOERROR,
            complete=bool(records or denied or not chain.cnames or rcode == dns.rcode.NXDOMAIN),
            # RFC 2308 section 5: a negative answer without an SOA record must not be kept.
            ttl=int(chain.minimum_ttl) if records or denied else 0,
            server=server,
            rdatas=tuple(rdata for rrset in (*chain.cnames, chain.answer or ()) for rdata in rrset),
        )
    )


def _value(rdata: Any) -> Any:
    """A record's content as one of our values."""
    match dns.rdatatype.to_text(rdata.rdtype):
        case "A" | "AAAA":
            return IP(rdata.address)
        case "CNAME" | "PTR":
            return rdata.target.to_text()
        case "NS":
            return NS(rdata.target.to_text())
        case "MX":
            return MX(rdata.exchange.to_text(), rdata.preference)
        case "SRV":
            return SRV(rdata.target.to_text(), rdata.port, rdata.priority, rdata.weight)
        case "TXT":
            # One record's strings belong together (RFC 7208 section 3.3 reads them so, and Go's LookupTXT).
            return b"".join(rdata.strings).decode(errors="surrogateescape")
    return rdata.to_text()
