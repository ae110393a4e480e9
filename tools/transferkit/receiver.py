"""The half that gets the files: asks for what it lacks and puts each in its place (docs/transfer.md section 3)."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from ..failure import describe
from ..output import printable
from .channel import Kind, Violation, word
from .outcome import Outcome, Watch
from .partial import FileFailure, Partial
from .tree import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from .channel import Channel
    from .tree import Tree

__all__ = ["Receiver"]

MAX_OPEN = 256
"""Offers of a sender that are not finished: each holds two descriptors."""


@dataclasses.dataclass
class _Incoming:
    """A file asked for."""

    number: int
    outcome: Outcome
    partial: Partial
    mode: int
    modified: int
    begun: bool = False


class Receiver:
    """Takes files into a tree; :meth:`run` returns when the sender has no more.

    Args:
        channel: where they come from.
        tree: where they go.
        below: parts of the folder in the tree under which all is put.
        overwrite: files that exist may be replaced.
        tops: first parts that paths may have, or None for any: who asks for "a" does not want to be given ".bashrc".
        watch: who wants to see how it goes.
    """

    def __init__(
        self,
        channel: Channel,
        tree: Tree,
        below: list[str],
        *,
        overwrite: bool,
        tops: set[str] | None,
        watch: Watch,
    ) -> None:
        self._channel = channel
        self._tree = tree
        self._below = below
        self._overwrite = overwrite
        self._tops = tops
        self._watch = watch
        self._queue: deque[_Incoming] = deque()
        self._folders: list[tuple[list[str], int]] = []

    def run(self) -> None:
        """Take everything.

        Raises:
            Failure: the peer ended it, or broke the protocol.
            OpError: the connection failed; what has arrived of a file stays for another time.
        """
        steps: dict[Kind, Callable[[Any], None]] = {
            Kind.FILE: self._offered,
            Kind.FROM: self._begin,
            Kind.DATA: self._take,
            Kind.DONE: self._done,
        }
        try:
            while True:
                kind, body = self._channel.hear()
                if kind is Kind.END:
                    break
                if kind not in steps:
                    raise Violation(f"{kind.name} from who sends")
                steps[kind](body)
        finally:
            for incoming in self._queue:
                incoming.partial.close()
            self._set_folder_modes()
        self._channel.tell(Kind.END)

    def _offered(self, words: dict[str, Any]) -> None:
        number, path = word(words, "id", int), word(words, "path", str)
        folder, size = word(words, "folder", bool), word(words, "size", int)
        mode, modified = word(words, "mode", int), word(words, "modified", int)
        if len(self._queue) >= MAX_OPEN:
            raise Violation(f"more than {MAX_OPEN} files offered at once")
        outcome = Outcome(printable(path), size, folder=folder)
        try:
            parts = split(path)
            if self._tops is not None and parts[0] not in self._tops:
                raise FileFailure("was not asked for")
            if folder:
                self._make_folder([*self._below, *parts], mode)
                self._finish(number, outcome)
                return
            parent = self._tree.folder([*self._below, *parts[:-1]], create=True)
            partial = Partial(parent, parts[-1], size, overwrite=self._overwrite)
        except (OSError, FileFailure) as error:
            self._finish(number, outcome, error=_reason(error))
            return
        self._queue.append(_Incoming(number, outcome, partial, mode, modified))
        self._channel.tell(
            Kind.ASK,
            id=number,
            offset=partial.have,
            sha256=partial.digest.hexdigest(),
            keep=partial.existing and not self._overwrite,
        )

    def _current(self, words: dict[str, Any]) -> _Incoming:
        if not self._queue or word(words, "id", int) != self._queue[0].number:
            raise Violation("files in another order than they were asked for")
        return self._queue[0]

    def _begin(self, words: dict[str, Any]) -> None:
        incoming, offset = self._current(words), word(words, "offset", int)
        partial = incoming.partial
        if offset not in (0, partial.have) or incoming.begun:
            raise Violation(f"data from {offset} on, where {partial.have} bytes are there")
        incoming.begun = True
        self._watch.moved(incoming.outcome.path, offset)
        if offset == partial.have:
            return
        if partial.existing and not partial.overwrite:
            raise Violation("another file where the one that exists is to be kept")
        try:
            partial.restart(incoming.outcome.size)
        except (OSError, FileFailure) as error:
            self._fail(incoming, _reason(error))

    def _take(self, data: bytes) -> None:
        incoming = self._queue[0] if self._queue else None
        if incoming is None or not incoming.begun:
            raise Violation("data of no file")
        outcome, partial = incoming.outcome, incoming.partial
        if outcome.error:
            return
        if partial.existing or partial.have + len(data) > outcome.size:
            raise Violation("more data than the file has")
        try:
            partial.write(data)
        except OSError as error:
            self._fail(incoming, _reason(error))
            return
        outcome.moved += len(data)
        self._watch.moved(outcome.path, len(data))

    def _fail(self, incoming: _Incoming, error: str) -> None:
        """Say at once that a file failed: the sender need not send the rest."""
        incoming.partial.close()
        self._finish(incoming.number, incoming.outcome, error=error)

    def _done(self, words: dict[str, Any]) -> None:
        incoming = self._current(words)
        self._queue.popleft()
        outcome, partial = incoming.outcome, incoming.partial
        if outcome.error:
            return
        if "error" in words:
            partial.close()
            self._finish(incoming.number, outcome, error=printable(word(words, "error", str)))
            return
        told = word(words, "sha256", str)
        if not incoming.begun or partial.have != outcome.size or told != partial.digest.hexdigest():
            if not partial.existing:
                partial.discard()
            partial.close()
            self._finish(incoming.number, outcome, error="what arrived is not what was sent (SHA-256)")
            return
        outcome.digest, outcome.unchanged = told, partial.existing
        try:
            if not partial.existing:
                partial.commit(incoming.mode, incoming.modified)
        except (OSError, FileFailure) as error:
            self._finish(incoming.number, outcome, error=_reason(error))
        else:
            self._finish(incoming.number, outcome)
        finally:
            partial.close()

    def _finish(self, number: int, outcome: Outcome, *, error: str = "") -> None:
        outcome.error = error
        words = {"error": error} if error else {"unchanged": outcome.unchanged}
        self._channel.tell(Kind.RESULT, id=number, **words)
        self._watch.finished(outcome)

    def _make_folder(self, parts: list[str], mode: int) -> None:
        try:
            os.close(self._tree.folder(parts))
        except FileNotFoundError:
            os.close(self._tree.folder(parts, create=True))
            self._folders.append((parts, mode))

    def _set_folder_modes(self) -> None:
        # At the end, and from the deepest: a folder that may not be written to must be filled before.
        for parts, mode in reversed(self._folders):
            descriptor = self._tree.folder(parts)
            os.fchmod(descriptor, mode & 0o777)
            os.close(descriptor)


def _reason(error: Exception) -> str:
    # The path is told beside it, and who sends need not know where it lies here.
    return error.strerror if isinstance(error, OSError) and error.strerror else describe(error)
