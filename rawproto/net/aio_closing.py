"""Closing something of an event loop."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["AsyncClosable"]


class AsyncClosable(abc.ABC):
    """Base of what is closed by a coroutine; all its tasks are of one loop, so that nothing has to be guarded."""

    _closed = False

    @property
    def closed(self) -> bool:
        """Whether this side was closed."""
        return self._closed

    @abc.abstractmethod
    async def close(self) -> None:
        """Close; waiting calls end with ClosedError. Calling it again does nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
