"""Where headers without a number of their own are: ``--decode 253=rsp``, ``--decode udp:4433=probe``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..failure import USAGE, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rawproto import Header

    from .vocabulary import Vocabulary

__all__ = ["places_of"]

_CARRIERS = {"udp": 17, "tcp": 6}


def places_of(texts: Iterable[str], vocabulary: Vocabulary) -> dict[tuple[int, int | None], type[Header]]:
    """Headers by (protocol number, port or None).

    Raises:
        Failure: one is no PLACE=HEADER.
    """
    found: dict[tuple[int, int | None], type[Header]] = {}
    for text in texts:
        place, equals, name = text.partition("=")
        carrier, colon, port = place.partition(":")
        number = carrier if not colon else port
        most = 65535 if colon else 255
        known = not colon or carrier.lower() in _CARRIERS
        if not equals or not known or not number.isdecimal() or int(number) > most:
            raise Failure(
                f"--decode {text!r}: NUMBER=HEADER, udp:PORT=HEADER or tcp:PORT=HEADER is wanted", USAGE
            )
        header = vocabulary.find(name)
        found[(_CARRIERS[carrier.lower()], int(port)) if colon else (int(number), None)] = header
    return found
