"""Where the datagrams come from that are sent, one after another."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from rawproto import Datagram, DecodeError, EncodeError, fragment, lookup_ip

from ..failure import USAGE, Failure
from ..packetkit.document import headers_of
from .compose import Layer, recipe_of
from .show import as_sent
from .wire import source_toward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..packetkit.vocabulary import Vocabulary

__all__ = ["Described", "Given", "Supply"]


class Supply:
    """Datagrams to send, in rounds: what is counted is a round.

    Attributes:
        round: how many datagrams one round has, before they are cut.
    """

    round = 1
    _mtu: int | None = None

    def cut(self, mtu: int | None) -> None:
        """Have every datagram above ``mtu`` bytes cut into fragments."""
        self._mtu = mtu

    def datagram(self, index: int = 0) -> Datagram:
        """Datagram ``index`` of the first round, as it was described.

        Raises:
            Failure: its bytes are no datagram.
        """
        try:
            return Datagram.parse(self.whole(index))
        except DecodeError as error:
            raise Failure(f"cannot draw what is broken: {error}", USAGE) from error

    def whole(self, index: int) -> bytes:
        """Datagram ``index`` of a round."""
        raise NotImplementedError

    def peek(self) -> bytes:
        """The first datagram."""
        return self.whole(0)

    def pieces(self, index: int) -> list[bytes]:
        """Datagram ``index`` in the pieces that are sent.

        Raises:
            Failure: it cannot be cut.
        """
        data = self.whole(index)
        if self._mtu is None or len(data) <= self._mtu:
            return [data]
        try:
            return [bytes(piece) for piece in fragment(Datagram.parse(data), self._mtu)]
        except (DecodeError, EncodeError, ValueError) as error:
            raise Failure(f"cannot cut the datagram: {error}", USAGE) from error

    def document(self) -> dict[str, Any]:
        """The first datagram for programs."""
        data = self.peek()
        try:
            datagram = self.datagram()
        except Failure:
            return {"packet": data.hex(), "length": len(data), "headers": [], "problems": []}
        try:
            problems = datagram.verify()
        except (DecodeError, EncodeError) as error:
            problems = [str(error)]
        return {
            "packet": data.hex(),
            "length": len(data),
            "headers": headers_of(as_sent(datagram)),
            "problems": problems,
        }


class Given(Supply):
    """Datagrams as bytes."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._packets = packets
        self.round = len(packets)

    def whole(self, index: int) -> bytes:
        """See :meth:`Supply.whole`."""
        return self._packets[index]


class Described(Supply):
    """A datagram out of words, with what the words leave to the route filled in.

    Raises:
        Failure: a word cannot be, there is no destination, or no way to it.
    """

    def __init__(
        self, words: Sequence[str], vocabulary: Vocabulary, to: str | None, seed: int | None
    ) -> None:
        self._recipe = recipe_of([*_outer_words(to), *words], vocabulary)
        self._chance = random.Random(seed)
        outer = self._recipe.outer
        if outer is None:
            name = self._recipe.layers[0].name if self._recipe.layers else "a payload"
            raise Failure(
                f"{name} needs an IP header around it: begin with ipv4 or ipv6, or give --to HOST", USAGE
            )
        self._fill(outer)
        self._first: tuple[Datagram, bytes] = self._make()
        self._given_first = False

    @staticmethod
    def _fill(outer: Layer) -> None:
        drawn = {info.name for info in outer.drawn}
        if "src" in outer.values or "src" in drawn:
            return
        if "dst" in outer.values:
            outer.values["src"] = source_toward(outer.values["dst"])
        elif "dst" in drawn:
            raise Failure(f"{outer.name}.src: with a random destination the source must be given", USAGE)
        else:
            raise Failure(f"{outer.name} needs dst, as in dst=192.0.2.1", USAGE)

    def datagram(self, index: int = 0) -> Datagram:
        """See :meth:`Supply.datagram`."""
        return self._first[0]

    def peek(self) -> bytes:
        """See :meth:`Supply.peek`."""
        return self._first[1]

    def whole(self, index: int) -> bytes:
        """See :meth:`Supply.whole`; behind the first another one each time where something is random."""
        if self._given_first and self._recipe.varies:
            return self._make()[1]
        self._given_first = True
        return self._first[1]

    def _make(self) -> tuple[Datagram, bytes]:
        datagram = self._recipe.make(self._chance)
        try:
            return datagram, bytes(datagram)
        except EncodeError as error:
            raise Failure(str(error), USAGE) from error


def _outer_words(to: str | None) -> list[str]:
    """The IP header that ``--to`` stands for."""
    if to is None:
        return []
    address = lookup_ip(to.strip("[]"))[0]
    return [f"ipv{address.version}", f"dst={address}", "/"]
