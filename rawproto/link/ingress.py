"""A rule at an interface's ingress hook that keeps packets from the IP stack (nftables, netdev family).

A packet socket for all EtherTypes gets its copy before that hook, so the rule spares the host the work on packets that
a packet link receives, and takes them away from everybody else. The rule goes when its netlink socket does, and so with
the process at the latest: its table has an owner (Linux 5.12). Written are the messages that

    table netdev NAME { flags owner; chain ingress { type filter hook ingress device INTERFACE priority 0;
        ip protocol PROTOCOL ip daddr LOCAL drop; } }

stands for; their numbers are those of linux/netfilter/nf_tables.h and nfnetlink.h, big-endian on the wire.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Final

from rawproto.errors import OpError, PrivilegeError, RawprotoError
from rawproto.link import linux, netlink
from rawproto.link.netlink import attribute, nested
from rawproto.link.privilege import ways_to

__all__ = ["IngressRule"]

_NETFILTER: Final = 12  # NETLINK_NETFILTER, linux/netlink.h
_FAMILY: Final = struct.Struct("!BBH")  # struct nfgenmsg: family, version 0, resource
_NETDEV: Final = 5  # NFPROTO_NETDEV
_NFTABLES: Final = 10  # NFNL_SUBSYS_NFTABLES
_BEGIN, _END = 0x10, 0x11  # NFNL_MSG_BATCH_BEGIN and _END: what is between them is done wholly or not at all
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = (_NFTABLES << 8 | kind for kind in (0, 3, 6))
_CREATE: Final = netlink.REQUEST | 0x04 | 0x200 | 0x400  # with NLM_F_ACK, NLM_F_EXCL and NLM_F_CREATE
_PATIENCE: Final = 30.0  # seconds for the answers, which the kernel has ready when the request returns

# Attributes: NFTA_TABLE_, NFTA_CHAIN_, NFTA_HOOK_, NFTA_RULE_, NFTA_EXPR_ and those of each expression
_TABLE_NAME, _TABLE_FLAGS = 1, 2
_OWNER: Final = 2  # NFT_TABLE_F_OWNER
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_TYPE = 1, 3, 4, 7
_HOOK_NUMBER, _HOOK_PRIORITY, _HOOK_DEVICE = 1, 2, 3
_INGRESS: Final = 0  # NF_NETDEV_INGRESS
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS = 1, 2, 4
_ELEMENT, _EXPRESSION_NAME, _EXPRESSION_DATA = 1, 1, 2
_META_REGISTER, _META_KEY = 1, 2
_META_PROTOCOL: Final = 1  # NFT_META_PROTOCOL: the packet's EtherType
_PAYLOAD_REGISTER, _PAYLOAD_BASE, _PAYLOAD_OFFSET, _PAYLOAD_LENGTH = 1, 2, 3, 4
_NETWORK_HEADER: Final = 1  # NFT_PAYLOAD_NETWORK_HEADER
_CMP_REGISTER, _CMP_OPERATION, _CMP_DATA = 1, 2, 3
_EQUAL: Final = 0  # NFT_CMP_EQ
_IMMEDIATE_REGISTER, _IMMEDIATE_DATA = 1, 2
_DATA_VALUE, _DATA_VERDICT, _VERDICT_CODE = 1, 2, 1
_VERDICT, _REGISTER = 0, 1  # NFT_REG_VERDICT, NFT_REG_1
_DROP: Final = 0  # NF_DROP


class IngressRule:
    """Packets of one protocol to one address, coming in by one interface, end here until this is closed.

    Args:
        interface: name of the interface.
        protocol: IP protocol number.
        local: packed destination address, 4 or 16 bytes.

    Raises:
        PrivilegeError: without CAP_NET_ADMIN.
        OpError: the kernel cannot have such a rule.
    """

    def __init__(self, interface: str, protocol: int, local: bytes) -> None:
        try:
            self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
            try:
                self._sock.settimeout(_PATIENCE)
                self._sock.bind((0, 0))
                # The port is this socket's alone in its network namespace.
                self._make(f"rawproto-{self._sock.getsockname()[0]}", interface, protocol, local)
            except BaseException:
                self._sock.close()
                raise
        except OSError as error:
            # A socket that waited in vain gives no number.
            raise _refused(interface, error.errno or errno.ETIMEDOUT) from error

    def _make(self, table: str, interface: str, protocol: int, local: bytes) -> None:
        """Ask for table, chain and rule; an OSError with the number of the first that the kernel refused."""
        wanted = (
            (_NEW_TABLE, _text(_TABLE_NAME, table) + _number(_TABLE_FLAGS, _OWNER)),
            (_NEW_CHAIN, _chain(table, interface)),
            (_NEW_RULE, _rule(table, protocol, local)),
        )
        batch = _edge(_BEGIN)
        for sequence, (kind, body) in enumerate(wanted, 1):
            batch += netlink.message(kind, _CREATE, sequence, _FAMILY.pack(_NETDEV, 0, 0) + body)
        self._sock.send(batch + _edge(_END))
        done = 0
        while done < len(wanted):
            data = self._sock.recv(1 << 16)
            while data:
                length, kind, *_ = netlink.HEADER.unpack_from(data)
                if kind == netlink.ERROR:
                    number = -int(struct.unpack_from("=i", data, netlink.HEADER.size)[0])
                    if number:
                        raise OSError(number, os.strerror(number))
                    done += 1
                data = data[-(-length // 4) * 4 :]

    def close(self) -> None:
        """Take the rule away."""
        self._sock.close()


def _edge(kind: int) -> bytes:
    return netlink.message(kind, netlink.REQUEST, 0, _FAMILY.pack(0, 0, _NFTABLES))


def _chain(table: str, interface: str) -> bytes:
    hook = (
        _number(_HOOK_NUMBER, _INGRESS),
        _number(_HOOK_PRIORITY, 0),
        attribute(_HOOK_DEVICE, os.fsencode(interface) + b"\0"),
    )
    return b"".join(
        (
            _text(_CHAIN_TABLE, table),
            _text(_CHAIN_NAME, "ingress"),
            nested(_CHAIN_HOOK, *hook),
            _text(_CHAIN_TYPE, "filter"),
        )
    )


def _rule(table: str, protocol: int, local: bytes) -> bytes:
    """Where the protocol and the destination stand: RFC 791 section 3.1, RFC 8200 section 3."""
    ethertype, protocol_at, local_at = (
        (linux.ETH_P_IP, 9, 16) if len(local) == 4 else (linux.ETH_P_IPV6, 6, 24)
    )
    expressions = (
        _expression("meta", _number(_META_REGISTER, _REGISTER), _number(_META_KEY, _META_PROTOCOL)),
        _equals(ethertype.to_bytes(2, "big")),
        _payload(protocol_at, 1),
        _equals(bytes((protocol,))),
        _payload(local_at, len(local)),
        _equals(local),
        _expression(
            "immediate",
            _number(_IMMEDIATE_REGISTER, _VERDICT),
            nested(_IMMEDIATE_DATA, nested(_DATA_VERDICT, _number(_VERDICT_CODE, _DROP))),
        ),
    )
    return (
        _text(_RULE_TABLE, table)
        + _text(_RULE_CHAIN, "ingress")
        + nested(_RULE_EXPRESSIONS, *(nested(_ELEMENT, expression) for expression in expressions))
    )


def _expression(name: str, *data: bytes) -> bytes:
    return _text(_EXPRESSION_NAME, name) + nested(_EXPRESSION_DATA, *data)


def _payload(offset: int, length: int) -> bytes:
    """Load bytes of the IP header into the register."""
    return _expression(
        "payload",
        _number(_PAYLOAD_REGISTER, _REGISTER),
        _number(_PAYLOAD_BASE, _NETWORK_HEADER),
        _number(_PAYLOAD_OFFSET, offset),
        _number(_PAYLOAD_LENGTH, length),
    )


def _equals(value: bytes) -> bytes:
    """Go on only where the register holds ``value``."""
    return _expression(
        "cmp",
        _number(_CMP_REGISTER, _REGISTER),
        _number(_CMP_OPERATION, _EQUAL),
        nested(_CMP_DATA, attribute(_DATA_VALUE, value)),
    )


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "big"))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _refused(interface: str, number: int) -> RawprotoError:
    if number in (errno.EPERM, errno.EACCES):
        return PrivilegeError(
            f"keep packets of {interface} from the IP stack", "CAP_NET_ADMIN", ways_to("CAP_NET_ADMIN")
        )
    reason = (
        f"{interface}: no rule at its ingress hook ({os.strerror(number)}): that needs Linux 5.12 or later with "
        "CONFIG_NF_TABLES and CONFIG_NF_TABLES_NETDEV"
    )
    return OpError(reason, op="filter", errno=number)
