"""Who asks and who serves: the first words of a transfer (docs/transfer.md section 3.1)."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from ..failure import Failure, describe
from .channel import VERSION, Channel, Kind, Violation, word
from .partial import FileFailure
from .receiver import Receiver
from .sender import Offer, Sender
from .tree import Tree, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from .outcome import Watch

__all__ = ["Rules", "fetch", "serve_one", "store"]


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a server lets its clients do.

    Attributes:
        put: files may be put here.
        get: files may be fetched.
        overwrite: clients may replace files that exist, when they say so.
    """

    put: bool = True
    get: bool = True
    overwrite: bool = True


def store(
    channel: Channel, paths: Sequence[Path], to: str, *, overwrite: bool, watch: Watch, skipped: list[str]
) -> None:
    """Put the local files and folders ``paths`` into the folder ``to`` of the server ("" is its root).

    Raises:
        Failure: two of ``paths`` have one name; the server refused, or broke the protocol.
        OSError: a path cannot be read, or the connection failed.
    """
    with contextlib.ExitStack() as stack:
        offers: list[Offer] = []
        tops = set()
        for path in paths:
            whole = path.resolve(strict=True)
            if not whole.name or whole.name in tops:
                raise Failure(f"{path}: give files of different names")
            tops.add(whole.name)
            tree = stack.enter_context(Tree(whole.parent))
            offers += [Offer(tree, entry, entry.path) for entry in tree.walk(whole.name, skipped)]
        size = sum(offer.entry.size for offer in offers)
        channel.tell(
            Kind.HELLO,
            version=VERSION,
            op="put",
            to=to,
            overwrite=overwrite,
            files=len(offers),
            bytes=size,
        )
        channel.expect(Kind.START)
        watch.total(len(offers), size)
        Sender(channel, offers, watch).run()


def fetch(channel: Channel, paths: Sequence[str], to: Path, *, overwrite: bool, watch: Watch) -> None:
    """Get files and folders of the server into the local folder ``to``, which is made where it is missing.

    Raises:
        Failure: the server refused, or broke the protocol.
        OSError: the connection failed, or the folder cannot be opened.
    """
    asked = [path.strip("/") for path in paths]
    asked = ["" if path == "." else path for path in asked]
    tops = None if "" in asked else {split(path)[-1] for path in asked}
    if tops is not None and len(tops) < len(asked):
        raise Failure("give files of different names")
    to.mkdir(parents=True, exist_ok=True)
    with Tree(to) as tree:
        channel.tell(Kind.HELLO, version=VERSION, op="get", paths=asked)
        start = channel.expect(Kind.START)
        watch.total(word(start, "files", int), word(start, "bytes", int))
        Receiver(channel, tree, [], overwrite=overwrite, tops=tops, watch=watch).run()


def serve_one(channel: Channel, tree: Tree, rules: Rules, watch: Watch) -> None:
    """Serve one client, who is told what was wrong with what it asked for.

    Raises:
        Failure: it was refused, or broke the protocol.
        OpError: the connection failed.
    """
    try:
        words = channel.expect(Kind.HELLO)
        if word(words, "version", int) != VERSION:
            raise Failure(f"version {VERSION} of the transfer protocol is spoken here")
        op = word(words, "op", str)
        if op == "put":
            _take(channel, tree, rules, words, watch)
        elif op == "get":
            _give(channel, tree, rules, words, watch)
        else:
            raise Violation(f"op {op!r}")
    except Failure as error:
        with contextlib.suppress(OSError):
            channel.tell(Kind.ERROR, message=describe(error))
        raise


def _take(channel: Channel, tree: Tree, rules: Rules, words: dict[str, Any], watch: Watch) -> None:
    overwrite, to = word(words, "overwrite", bool), word(words, "to", str)
    if not rules.put:
        raise Failure("nothing may be put here (--read-only)")
    if overwrite and not rules.overwrite:
        raise Failure("nothing may be overwritten here (--no-overwrite)")
    below = split(to) if to else []
    channel.tell(Kind.START)
    Receiver(channel, tree, below, overwrite=overwrite, tops=None, watch=watch).run()


def _give(channel: Channel, tree: Tree, rules: Rules, words: dict[str, Any], watch: Watch) -> None:
    if not rules.get:
        raise Failure("nothing may be fetched here (--write-only)")
    offers = list(_offers(tree, word(words, "paths", list)))
    channel.tell(Kind.START, files=len(offers), bytes=sum(offer.entry.size for offer in offers))
    Sender(channel, offers, watch).run()


def _offers(tree: Tree, paths: list[Any]) -> Iterable[Offer]:
    """What is at each of ``paths``, named by its last part and what is below."""
    for path in paths:
        if not isinstance(path, str):
            raise Violation("'paths' are no texts as they should be")
        cut = len(path.rpartition("/")[0]) + 1 if "/" in path else 0
        skipped: list[str] = []
        try:
            for entry in tree.walk(path, skipped):
                yield Offer(tree, entry, entry.path[cut:])
        except OSError as error:
            raise FileFailure(f"{path or '.'}: {error.strerror}") from error
        if path in skipped:
            raise FileFailure(f"{path}: is neither file nor folder")
