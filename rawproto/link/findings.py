"""What the doctor is asked, and what it answers."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rawproto.addr import IPAddr

__all__ = ["Finding", "Question", "State"]


class State(enum.Enum):
    """What a finding means."""

    FINE = "fine"
    NOTICE = "notice"
    """Something to know; it may matter or not."""
    PROBLEM = "problem"
    """Sending or receiving fails because of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: name of the check.
        state: how bad it is.
        text: what was found, in a sentence.
        mend: what to do about it, one way each; empty when nothing is to be done.
    """

    check: str
    state: State
    text: str
    mend: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to do.

    Attributes:
        protocol: IP protocol number.
        version: 4 or 6.
        destination: where to, or None; only with one are routes looked at and one empty datagram sent there.
    """

    protocol: int = 253
    version: int = 4
    destination: IPAddr | None = None
