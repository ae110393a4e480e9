"""Who may: allowed and denied networks, the longest prefix deciding."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any

from rawproto.addr.ip import IP
from rawproto.addr.mask import cidr_mask
from rawproto.addr.net import IPNet
from rawproto.addr.text import MAPPED_PREFIX
from rawproto.errors import AddrError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import numpy.typing as npt

__all__ = ["ACL"]

_V4_BASE = int.from_bytes(MAPPED_PREFIX + bytes(4))
_V4_END = _V4_BASE + (1 << 32)


class ACL:
    """A list of allowed and denied networks.

    The rule with the longest prefix that holds an address decides about it; of an allow and a deny rule for the same
    network the deny wins; where no rule holds it, the default does. An address in IPv4-mapped form is the IPv4
    address: no spelling gets past an IPv4 rule, and no IPv6 rule, not even ``::/0``, is about it. Immutable,
    hashable and safe for threads.

    Args:
        allow: networks or addresses: text, IP, IPNet, networks and addresses of :mod:`ipaddress`, ``netaddr``
            networks, ranges and sets; or a single one of these.
        deny: the same, to be refused.
        default: the decision where no rule says anything.

    Raises:
        AddrError: an entry that is no network, or has a mask that is not contiguous.
    """

    __slots__ = ("_allow", "_arrays", "_decisions", "_default", "_deny", "_starts")

    def __init__(self, allow: Any = (), deny: Any = (), *, default: bool = False) -> None:
        self._default = bool(default)
        self._allow = frozenset(_networks(allow))
        self._deny = frozenset(_networks(deny))
        rules = dict.fromkeys(self._allow, True) | dict.fromkeys(self._deny, False)
        # Disjoint ranges over one line of 128-bit numbers, IPv4 at its mapped place: the decision at i holds from
        # starts[i] to before starts[i + 1].
        self._starts, self._decisions = _ranges(rules, self._default)
        self._arrays: Any = None

    @property
    def default(self) -> bool:
        """The decision where no rule says anything."""
        return self._default

    @property
    def allow(self) -> Any:
        """The allowed networks as a ``netaddr.IPSet``, which merges those that can be."""
        return _ipset(self._allow)

    @property
    def deny(self) -> Any:
        """The denied networks as a ``netaddr.IPSet``, which merges those that can be."""
        return _ipset(self._deny)

    @property
    def permitted(self) -> Any:
        """Every address that is permitted, as a ``netaddr.IPSet``; the default is in it, the rules applied."""
        import netaddr

        ends = [*self._starts[1:], 1 << 128]
        found = netaddr.IPSet()
        for start, end, decision in zip(self._starts, ends, self._decisions, strict=True):
            if decision:
                found.update(netaddr.IPSet(_range_cidrs(start, end)))
        return found

    def permits(self, ip: IP | str | Any) -> bool:
        """Whether the rules let this address pass."""
        address = ip if ip.__class__ is IP else IP(ip)
        number = int.from_bytes(address if len(address) == 16 else MAPPED_PREFIX + address)
        return self._decisions[bisect.bisect_right(self._starts, number) - 1]

    def permits_many(self, ips: Any) -> npt.NDArray[np.bool_]:
        """The decisions about many addresses.

        Args:
            ips: an array as of :func:`~rawproto.addr.vector.parse_ips`, ``(n, 4)`` bytes, IPv4 as ``(n,)`` uint32, or
                a sequence of what :meth:`permits` takes.

        Returns:
            bool of shape ``(n,)``.
        """
        import numpy as np

        from rawproto.addr.vector import as_rows, is_mapped, pack_ips

        if self._arrays is None:
            self._arrays = self._as_arrays()
        starts4, decisions4, starts6, decisions6 = self._arrays
        array = np.asarray(ips) if isinstance(ips, np.ndarray) else pack_ips(ips)
        if array.ndim == 1 and array.dtype.kind == "u" and array.dtype.itemsize == 4:
            return decisions4[np.searchsorted(starts4, array, "right") - 1]  # type: ignore[no-any-return]
        rows = np.ascontiguousarray(as_rows(array))
        mapped = is_mapped(rows)
        permitted = np.empty(len(rows), bool)
        numbers4 = rows.view(">u4")[mapped, 3].astype(np.uint32)
        permitted[mapped] = decisions4[np.searchsorted(starts4, numbers4, "right") - 1]
        others = rows.view("S16")[:, 0][~mapped]
        permitted[~mapped] = decisions6[np.searchsorted(starts6, others, "right") - 1]
        return permitted

    def _as_arrays(self) -> tuple[Any, Any, Any, Any]:
        """The ranges as arrays to search: IPv4 as uint32, everything as byte strings, which compare like numbers."""
        import numpy as np

        first = bisect.bisect_right(self._starts, _V4_BASE) - 1
        last = bisect.bisect_left(self._starts, _V4_END)
        starts4 = [max(start - _V4_BASE, 0) for start in self._starts[first:last]]
        starts6 = b"".join(start.to_bytes(16) for start in self._starts)
        return (
            np.array(starts4, np.uint32),
            np.array(self._decisions[first:last], bool),
            np.frombuffer(starts6, "S16"),
            np.array(self._decisions, bool),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ACL) and self._state() == other._state()

    def __hash__(self) -> int:
        return hash(self._state())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, self._state()

    def _state(self) -> tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int]], bool]:
        return self._allow, self._deny, self._default

    def __repr__(self) -> str:
        def texts(networks: frozenset[tuple[int, int]]) -> list[str]:
            return [str(_net(*network)) for network in sorted(networks)]

        return f"ACL(allow={texts(self._allow)}, deny={texts(self._deny)}, default={self._default})"


def _rebuild(allow: Iterable[tuple[int, int]], deny: Iterable[tuple[int, int]], default: bool) -> ACL:
    return ACL([_net(*network) for network in allow], [_net(*network) for network in deny], default=default)


def _networks(entries: Any) -> Iterable[tuple[int, int]]:
    """Each entry's networks as first address on the 128-bit line and prefix length on it."""
    for entry in _flatten(entries):
        ip, ones = IPNet.of(entry).prefix()
        shift = (32 if len(ip) == 4 else 128) - ones
        yield int(ip.to16()) >> shift << shift, 128 - shift


def _flatten(entries: Any) -> Iterable[Any]:
    """Single networks out of one, several, or netaddr's sets and ranges."""
    if hasattr(entries, "iter_cidrs"):  # netaddr.IPSet
        yield from entries.iter_cidrs()
    elif hasattr(entries, "cidrs"):  # netaddr.IPRange, IPGlob
        yield from entries.cidrs()
    elif isinstance(entries, (str, bytes, IPNet)) or hasattr(entries, "version"):
        yield entries
    else:
        try:
            several = iter(entries)
        except TypeError:
            raise AddrError(f"a rule is a network or an address, not {type(entries).__name__}") from None
        for entry in several:
            yield from _flatten(entry)


def _ranges(rules: dict[tuple[int, int], bool], default: bool) -> tuple[list[int], list[bool]]:
    """Starts and decisions of the disjoint ranges that the rules make.

    Networks nest or are apart, so a stack of the open ones suffices: an inner one shadows the outer while it lasts.
    """
    edges: list[tuple[int, bool]] = [(0, default)]
    stack: list[tuple[int, bool]] = [(1 << 128, default)]

    def close_until(position: int) -> None:
        while stack[-1][0] <= position and len(stack) > 1:
            end, _ = stack.pop()
            edges.append((end, stack[-1][1]))

    # IPv4's own line is a network of its own, which the default rules: no IPv6 rule reaches into it.
    everything = {(_V4_BASE, 96): default} | rules
    for (first, ones), decision in sorted(everything.items()):
        close_until(first)
        edges.append((first, decision))
        stack.append((first + (1 << (128 - ones)), decision))
    close_until(1 << 128)
    # The last edge at a place counts; edges that change nothing are left out.
    merged: list[tuple[int, bool]] = []
    for start, decision in dict(edges).items():
        if start < 1 << 128 and (not merged or merged[-1][1] != decision):
            merged.append((start, decision))
    return [start for start, _ in merged], [decision for _, decision in merged]


def _net(first: int, ones: int) -> IPNet:
    """The network of a place on the line; within IPv4's part an IPv4 network."""
    if _V4_BASE <= first < _V4_END and ones >= 96:
        return IPNet(IP((first - _V4_BASE).to_bytes(4)), cidr_mask(ones - 96, 32))
    return IPNet(IP(first.to_bytes(16)), cidr_mask(ones, 128))


def _ipset(networks: Iterable[tuple[int, int]]) -> Any:
    import netaddr

    return netaddr.IPSet([_net(*network).to_netaddr() for network in networks])


def _range_cidrs(start: int, end: int) -> list[Any]:
    """The networks of the range from ``start`` to before ``end``, IPv4's part of the line as IPv4."""
    import netaddr

    parts = []
    for low, high, version, base in (
        (0, _V4_BASE, 6, 0),
        (_V4_BASE, _V4_END, 4, _V4_BASE),
        (_V4_END, 1 << 128, 6, 0),
    ):
        first, last = max(start, low), min(end, high) - 1
        if first <= last:
            edges = netaddr.IPAddress(first - base, version), netaddr.IPAddress(last - base, version)
            parts += netaddr.iprange_to_cidrs(*edges)
    return parts
