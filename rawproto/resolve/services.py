"""Service names to ports and protocol names to numbers, by Go's rules."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from rawproto.errors import AddrError, UnknownNetworkError
from rawproto.resolve.files import WatchedFile, fields_of
from rawproto.resolve.tables import GO_PROTOCOLS, GO_SERVICES, PROTOCOLS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PORT_NETWORKS", "Protocols", "Services", "ascii_lower", "parse_decimal"]

# The table that each network's names are in. RSP carries streams, so its services are those of TCP.
PORT_NETWORKS = {
    **dict.fromkeys(("tcp", "tcp4", "tcp6"), "tcp"),
    **dict.fromkeys(("udp", "udp4", "udp6"), "udp"),
    **dict.fromkeys(("rsp", "rsp4", "rsp6", "rsp+udp", "rsp+udp4", "rsp+udp6"), "tcp"),
}

# Longest names that are looked up at all: Go's buffers (lookup_unix.go), 10 above the longest known name.
_MAX_NAME = len("mobility-header") + 10
_MAX_PROTOCOL = len("RSVP-E2E-IGNORE") + 10
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

_Ports = dict[tuple[str, str], int]


def ascii_lower(text: str) -> str:
    """Lower case of ASCII letters only: the Kelvin sign is no k."""
    return text.translate(_LOWER)


def parse_decimal(text: str) -> int | None:
    """The number of a text of ASCII digits only, or None; numbers past a C int come out as 2**31."""
    if not text or not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0") or "0"
    return min(int(digits), 1 << 31) if len(digits) < 11 else 1 << 31


def _parse_services(text: str, ports: _Ports | None = None) -> _Ports:
    """``(protocol, name) -> port`` of a services(5) text, laid over ``ports``; the last line of a name counts."""
    ports = dict(ports or {})
    for fields in fields_of(text):
        number, slash, protocol = fields[1].partition("/") if len(fields) > 1 else ("", "", "")
        port = parse_decimal(number)
        if slash and port:
            for name in (fields[0], *fields[2:]):
                ports[protocol, name] = port
    return ports


@functools.cache
def _go_services() -> _Ports:
    return _parse_services(GO_SERVICES)


@functools.cache
def _all_services() -> _Ports:
    return _parse_services(SERVICES, _go_services())


def _from_file(text: str | None) -> _Ports:
    return _all_services() if text is None else _parse_services(text, _go_services())


class Services:
    """The services of a file, of a mapping, or of the built-in table.

    Args:
        source: path of a file in the format of services(5), where a missing file means the built-in table; a mapping
            of "name" or "name/protocol" to ports; or None for the built-in table.
    """

    def __init__(self, source: str | os.PathLike[str] | Mapping[str, int] | None) -> None:
        self._file: WatchedFile[_Ports] | None = None
        self._ports: _Ports = {}
        if source is None:
            self._ports = _all_services()
        elif isinstance(source, (str, os.PathLike)):
            self._file = WatchedFile(source, _from_file)
        else:
            for key, port in source.items():
                name, _, protocol = key.partition("/")
                for one in (protocol,) if protocol else ("tcp", "udp"):
                    self._ports[one, ascii_lower(name)] = port

    def port(self, network: str, service: str) -> int:
        """The port of a service, which is a name, a decimal number with an optional sign, or "" for port 0.

        A number never looks at the network.

        Raises:
            UnknownNetworkError: the service is a name and the network has no services.
            AddrError: an unknown name, or a number outside 0 to 65535.
        """
        port = _port_number(service)
        if port is None:
            table = PORT_NETWORKS.get(network) if network else "ip"
            if table is None:
                raise UnknownNetworkError(network, tuple(PORT_NETWORKS))
            ports = self._ports if self._file is None else self._file.get()
            port = ports.get((table, ascii_lower(service))) if len(service) <= _MAX_NAME else None
            if port is None:
                raise AddrError(f"unknown port {table}/{service}", service)
        if not 0 <= port <= 0xFFFF:
            raise AddrError("a port is a number from 0 to 65535", service)
        return port


def _port_number(service: str) -> int | None:
    """The number that ``service`` spells, whatever its range, or None when it is a name.

    As in Go, a number past 30 bits is one whatever follows it; other than in Go, a lone sign is a name and no
    number wraps at 32 bits.
    """
    if not service:
        return 0
    negative = service[0] == "-"
    digits = service[1:] if service[0] in "+-" else service
    number = 0
    for character in digits:
        if not "0" <= character <= "9":
            return None
        if number >= 1 << 30:
            break
        number = 10 * number + ord(character) - ord("0")
    if not digits:
        return None
    return -number if negative else number


def _parse_protocols(text: str, numbers: dict[str, int] | None = None) -> dict[str, int]:
    """``name -> number`` of a protocols(5) text, laid under ``numbers``; the first line of a name counts."""
    numbers = dict(numbers or {})
    for fields in fields_of(text):
        number = parse_decimal(fields[1]) if len(fields) > 1 else None
        if number is not None:
            for name in (fields[0], *fields[2:]):
                numbers.setdefault(name, number)
    return numbers


@functools.cache
def _go_protocols() -> dict[str, int]:
    return _parse_protocols(GO_PROTOCOLS)


def _protocols_of(text: str | None) -> dict[str, int]:
    return _parse_protocols(PROTOCOLS if text is None else text, _go_protocols())


class Protocols:
    """The IP protocol numbers of a file in the format of protocols(5), or of the built-in table where it is missing."""

    def __init__(self, path: str | os.PathLike[str] = "/etc/protocols") -> None:
        self._file = WatchedFile(path, _protocols_of)

    def number(self, name: str) -> int:
        """The number of a protocol name, in any case of letters.

        Raises:
            AddrError: no such name.
        """
        if len(name) <= _MAX_PROTOCOL:
            number = self._file.get().get(ascii_lower(name))
            if number is not None:
                return number
        raise AddrError("unknown IP protocol specified", name)
