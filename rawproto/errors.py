"""Every error rawproto raises, in one tree.

Each class also inherits the builtin that a caller would reach for first, so ``except TimeoutError`` or
``except ConnectionRefusedError`` work without knowing this module.

    RawprotoError
     ├── AddrError (ValueError)              text that is no address; shows the text and the place
     ├── UnknownNetworkError (ValueError)    a network name such as "tcp5"
     ├── DeclarationError (TypeError)        a header class that cannot be; raised at class creation
     ├── EncodeError (ValueError)            a field value that does not fit its declaration
     ├── DecodeError (ValueError)            bytes that are not the header asked for; field and offset
     ├── FilterError (ValueError)            a packet filter that cannot be compiled or is not valid
     ├── ConfigError (ValueError)            a configuration value out of its range
     ├── LabError (RuntimeError)             a host, link or impairment that cannot be made
     │    ├── ExpectationError (AssertionError)   a protocol did something else than its script says
     │    └── InvariantError (AssertionError)     a protocol broke a rule that holds in every run
     ├── PrivilegeError (PermissionError)    a missing capability; says which, and the ways to get it
     ├── DNSError (OSError)                  a lookup without an answer
     │    └── DNSTimeoutError (TimeoutError)
     └── OpError (OSError)                   an operation on a socket, link or connection
          ├── ClosedError                    the object was closed on this side
          ├── DeadlineExceeded (TimeoutError)
          ├── ConnectionRefused (ConnectionRefusedError)
          ├── ConnectionReset (ConnectionResetError)
          ├── ConnectionAborted (ConnectionAbortedError)
          ├── UnexpectedEOF (EOFError)       the stream ended before what was asked for, or was cut off
          └── TLSError                       a failed handshake, certificate or record; the cause says which
"""

from __future__ import annotations

import errno as _errno

__all__ = [
    "AddrError",
    "ClosedError",
    "ConfigError",
    "ConnectionAborted",
    "ConnectionRefused",
    "ConnectionReset",
    "DNSError",
    "DNSTimeoutError",
    "DeadlineExceeded",
    "DeclarationError",
    "DecodeError",
    "EncodeError",
    "ExpectationError",
    "FilterError",
    "InvariantError",
    "LabError",
    "OpError",
    "PrivilegeError",
    "RawprotoError",
    "TLSError",
    "UnexpectedEOF",
    "UnknownNetworkError",
]


class RawprotoError(Exception):
    """Base of every error of rawproto; never raised itself."""


class AddrError(RawprotoError, ValueError):
    """Text (or bytes) that is not the address, mask, network or port it should be.

    Attributes:
        reason: what is wrong, in a few words.
        text: the input as given, or None when it was not text.
        position: index into ``text`` of the first character that cannot be right, or None.
    """

    def __init__(self, reason: str, text: str | None = None, position: int | None = None) -> None:
        super().__init__(reason, text, position)
        self.reason = reason
        self.text = text
        self.position = position

    def __str__(self) -> str:
        if self.text is None:
            return self.reason
        shown = _printable(self.text)
        if self.position is None:
            return f"{self.reason}: {shown}"
        # The caret is placed under the printed form, in which one character may take several columns.
        column = len(_printable(self.text[: self.position])) - 1
        return f"{self.reason}:\n  {shown}\n  {' ' * column}^"


class UnknownNetworkError(RawprotoError, ValueError):
    """A network name that the operation does not know, such as "tcp5".

    Attributes:
        network: the name as given.
    """

    def __init__(self, network: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(network, known)
        self.network = network
        self.known = known

    def __str__(self) -> str:
        text = f"unknown network {self.network}"
        return f"{text} (known: {', '.join(self.known)})" if self.known else text


class DeclarationError(RawprotoError, TypeError):
    """A header declaration that cannot be: raised when the class is created, never later."""


class EncodeError(RawprotoError, ValueError):
    """A value that does not fit the field it was given for.

    Attributes:
        header: name of the header class.
        field: name of the field.
        reason: what is wrong.
    """

    def __init__(self, reason: str, header: str = "", field: str = "") -> None:
        super().__init__(reason, header, field)
        self.reason = reason
        self.header = header
        self.field = field

    def __str__(self) -> str:
        place = ".".join(part for part in (self.header, self.field) if part)
        return f"{place}: {self.reason}" if place else self.reason


class DecodeError(RawprotoError, ValueError):
    """Bytes that are not a valid header; the only exception that parsing raises.

    Attributes:
        header: name of the header class.
        field: name of the field at fault.
        offset: byte offset of the field from the start of the header.
        reason: what is wrong.
    """

    def __init__(self, reason: str, header: str = "", field: str = "", offset: int = 0) -> None:
        super().__init__(reason, header, field, offset)
        self.reason = reason
        self.header = header
        self.field = field
        self.offset = offset

    def __str__(self) -> str:
        place = ".".join(part for part in (self.header, self.field) if part)
        return f"{place} at byte {self.offset}: {self.reason}" if place else self.reason


class FilterError(RawprotoError, ValueError):
    """A packet filter that cannot be compiled, or a program that the kernel would refuse."""


class ConfigError(RawprotoError, ValueError):
    """A configuration value out of its range; the message names the setting and the range."""


class LabError(RawprotoError, RuntimeError):
    """A host, link or impairment of the lab that cannot be made as asked."""


class ExpectationError(LabError, AssertionError):
    """A protocol did something else than a script of the lab expects; the message shows the steps before."""


class InvariantError(LabError, AssertionError):
    """A protocol broke a rule that the simulator checks in every run; the message says which, where and when."""


class PrivilegeError(RawprotoError, PermissionError):
    """The kernel refused for want of a capability.

    Attributes:
        operation: what was tried, such as "open a raw IPv4 socket".
        capability: the missing capability, such as "CAP_NET_RAW".
        ways: ways to get it, one sentence each.
    """

    def __init__(self, operation: str, capability: str, ways: tuple[str, ...] = ()) -> None:
        self.operation = operation
        self.capability = capability
        self.ways = ways
        super().__init__(_errno.EPERM, f"cannot {operation}: {capability} is missing")

    def __str__(self) -> str:
        lines = [f"cannot {self.operation}: {self.capability} is missing"]
        if self.ways:
            lines.append("ways to get it:")
            lines.extend(f"  - {way}" for way in self.ways)
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.operation, self.capability, self.ways)


class DNSError(RawprotoError, OSError):
    """A lookup that gave no answer.

    Attributes:
        reason: "no such host", "server misbehaving", ...
        name: the name looked up.
        server: the server that said so, as host:port, or "" when none was asked.
        is_not_found: the name (or the record asked for) does not exist.
        is_timeout: no answer came in time.
        is_temporary: asking again later may help.
    """

    def __init__(
        self,
        reason: str,
        name: str = "",
        server: str = "",
        *,
        is_not_found: bool = False,
        is_timeout: bool = False,
        is_temporary: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.name = name
        self.server = server
        self.is_not_found = is_not_found
        self.is_timeout = is_timeout
        self.is_temporary = is_temporary

    def __str__(self) -> str:
        asked = f" on {self.server}" if self.server else ""
        return f"lookup {_printable(self.name)}{asked}: {self.reason}"

    def __reduce__(self) -> tuple[object, ...]:
        state = {
            "is_not_found": self.is_not_found,
            "is_timeout": self.is_timeout,
            "is_temporary": self.is_temporary,
        }
        return type(self), (self.reason, self.name, self.server), state


class DNSTimeoutError(DNSError, TimeoutError):
    """A lookup that no server answered in time; ``is_timeout`` and ``is_temporary`` are true."""

    def __init__(
        self,
        reason: str = "no answer in time",
        name: str = "",
        server: str = "",
        *,
        is_not_found: bool = False,
        is_timeout: bool = True,
        is_temporary: bool = True,
    ) -> None:
        super().__init__(
            reason,
            name,
            server,
            is_not_found=is_not_found,
            is_timeout=is_timeout,
            is_temporary=is_temporary,
        )


class OpError(RawprotoError, OSError):
    """An operation on a socket, link, connection or listener that failed.

    Attributes:
        reason: what went wrong, in a few words.
        op: "dial", "listen", "accept", "read", "write", "send", "receive", "close", ...
        network: "tcp", "rsp", "ip4:253", ...
        local: local address, or None.
        remote: remote address, or None.
        errno: the kernel's number where there is one, else None.
    """

    def __init__(
        self,
        reason: str,
        *,
        op: str = "",
        network: str = "",
        local: object | None = None,
        remote: object | None = None,
        errno: int | None = None,
    ) -> None:
        if errno is None:
            super().__init__(reason)
        else:
            super().__init__(errno, reason)
        self.reason = reason
        self.op = op
        self.network = network
        self.local = local
        self.remote = remote

    def __str__(self) -> str:
        words = [word for word in (self.op, self.network) if word]
        if self.local is not None and self.remote is not None:
            words.append(f"{self.local}->{self.remote}")
        elif self.local is not None or self.remote is not None:
            words.append(str(self.local if self.remote is None else self.remote))
        place = " ".join(words)
        return f"{place}: {self.reason}" if place else self.reason

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: getattr(self, name) for name in ("op", "network", "local", "remote")}
        state["errno"] = self.errno
        return type(self), (self.reason,), state


class ClosedError(OpError):
    """The object was closed on this side, before or during the operation."""


class DeadlineExceeded(OpError, TimeoutError):  # noqa: N818 - Go's name, fixed by the public API
    """The deadline passed; nothing was lost, the next call goes on where this one stood.

    Attributes:
        written: bytes of a write that were taken before the deadline passed.
    """

    written = 0


class ConnectionRefused(OpError, ConnectionRefusedError):  # noqa: N818 - named as the builtin
    """The peer answered that nothing listens there."""


class ConnectionReset(OpError, ConnectionResetError):  # noqa: N818 - named as the builtin
    """The peer ended the connection without a graceful close."""


class ConnectionAborted(OpError, ConnectionAbortedError):  # noqa: N818 - named as the builtin
    """This side gave the connection up, or the peer stopped answering."""


class UnexpectedEOF(OpError, EOFError):  # noqa: N818 - named as the builtin
    """The stream ended too early: before the bytes asked for, or without the end that TLS demands.

    Attributes:
        partial: the bytes that did arrive of those asked for.
    """

    partial = b""


class TLSError(OpError):
    """A TLS handshake, certificate or record that failed; ``__cause__`` is the error of :mod:`ssl`."""


def _printable(text: str) -> str:
    """``text`` quoted, with everything that is not printable escaped."""
    return '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
