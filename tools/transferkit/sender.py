"""The half that has the files: offers them ahead, sends what is asked for (docs/transfer.md section 3)."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from ..failure import describe
from ..output import printable
from .channel import CHUNK, Kind, Violation, word
from .outcome import Outcome, Watch
from .partial import FileFailure, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .channel import Channel
    from .tree import Entry, Tree

__all__ = ["Offer", "Sender"]

AHEAD = 64
"""Files offered and not finished: enough to fill a long path with small files, few enough to keep open."""


@dataclasses.dataclass
class Offer:
    """A file or folder to send.

    Attributes:
        tree: where it is.
        entry: what it is there.
        name: its path at the receiver.
    """

    tree: Tree
    entry: Entry
    name: str


class Sender:
    """Sends the offers over a channel; :meth:`run` gives what became of each."""

    def __init__(self, channel: Channel, offers: Iterable[Offer], watch: Watch) -> None:
        self._channel = channel
        self._offers = iter(offers)
        self._watch = watch
        self._open: dict[int, tuple[Offer, Outcome]] = {}
        self._asked: deque[dict[str, Any]] = deque()
        self._count = 0

    def run(self) -> None:
        """Send everything.

        Raises:
            Failure: the peer ended it, or broke the protocol.
            OpError: the connection failed.
        """
        while self._offer_ahead() or self._open:
            while not self._asked and self._open:
                self._hear()
                self._offer_ahead()
            if self._asked:
                self._answer(self._asked.popleft())
        self._channel.tell(Kind.END)
        self._channel.expect(Kind.END)

    def _offer_ahead(self) -> bool:
        """Offer as much as may be; False when nothing is left to offer."""
        while len(self._open) < AHEAD:
            offer = next(self._offers, None)
            if offer is None:
                return False
            entry = offer.entry
            self._open[self._count] = offer, Outcome(offer.name, entry.size, folder=entry.folder)
            self._channel.tell(
                Kind.FILE,
                id=self._count,
                path=offer.name,
                folder=entry.folder,
                size=entry.size,
                mode=entry.mode,
                modified=max(0, entry.modified),
            )
            self._count += 1
        return True

    def _hear(self) -> None:
        kind, words = self._channel.hear()
        number = word(words, "id", int) if kind in (Kind.ASK, Kind.RESULT) else -1
        if number not in self._open:
            raise Violation(f"{kind.name} for no file that was offered")
        if kind is Kind.ASK:
            self._asked.append(words)
            return
        _, outcome = self._open.pop(number)
        outcome.error = printable(words["error"]) if isinstance(words.get("error"), str) else ""
        outcome.unchanged = words.get("unchanged") is True
        self._watch.finished(outcome)

    def _answer(self, words: dict[str, Any]) -> None:
        """Send one file, or say why not."""
        number, have = word(words, "id", int), word(words, "offset", int)
        if number not in self._open:  # it has failed over there meanwhile
            return
        offer, outcome = self._open[number]
        try:
            descriptor = offer.tree.open(offer.entry.path)
        except (OSError, FileFailure) as error:
            self._channel.tell(Kind.DONE, id=number, error=describe(error))
            return
        try:
            self._send(number, outcome, descriptor, have, words)
        finally:
            os.close(descriptor)

    def _send(self, number: int, outcome: Outcome, descriptor: int, have: int, words: dict[str, Any]) -> None:
        size = outcome.size
        start, digest = 0, digest_of(descriptor, 0)
        try:
            if 0 < have <= size:
                known = digest_of(descriptor, have)
                if known.hexdigest() == word(words, "sha256", str):
                    start, digest = have, known
                elif word(words, "keep", bool):
                    self._channel.tell(Kind.DONE, id=number, error="exists")
                    return
            self._channel.tell(Kind.FROM, id=number, offset=start)
            self._watch.moved(outcome.path, start)
            os.lseek(descriptor, start, os.SEEK_SET)
            place = start
            while place < size:
                # The receiver may have had enough of it: its disk is full, say.
                while self._channel.pending():
                    self._hear()
                    if number not in self._open:
                        self._channel.tell(Kind.DONE, id=number, error="stopped")
                        return
                data = os.read(descriptor, min(CHUNK, size - place))
                if not data:
                    raise FileFailure("became shorter while it was sent")
                self._channel.tell_data(data)
                digest.update(data)
                place += len(data)
                outcome.moved += len(data)
                self._watch.moved(outcome.path, len(data))
        except FileFailure as error:
            self._channel.tell(Kind.DONE, id=number, error=error.message)
            return
        outcome.digest = digest.hexdigest()
        self._channel.tell(Kind.DONE, id=number, sha256=outcome.digest)
