"""Capabilities: what is missing, the ways to get it, and giving it up again."""

from __future__ import annotations

import sys

__all__ = ["ways_to"]

_WAYS = (
    """give it to a copy of the interpreter that only this virtual environment uses: python -m venv --copies .venv
    && sudo setcap {capability}+ep .venv/bin/{python}""",
    """run one command with it as an ambient capability: sudo setpriv --reuid=$USER --regid=$(id -g) --init-groups
    --inh-caps=+{short} --ambient-caps=+{short} COMMAND""",
    """work in a network namespace of your own user namespace, where you have every capability:
    unshare --user --map-root-user --net COMMAND, or rawproto.Lab in a program""",
    """let a privileged broker open and lock the socket and pass it on (rawproto.link.broker)""",
)


def ways_to(capability: str) -> tuple[str, ...]:
    """The ways to get ``capability`` (such as "CAP_NET_RAW"), one sentence each, for PrivilegeError."""
    names = {
        "capability": capability.lower(),
        "short": capability.lower().removeprefix("cap_"),
        "python": f"python{sys.version_info.major}.{sys.version_info.minor}",
    }
    return tuple(" ".join(way.format(**names).split()) for way in _WAYS)
