"""What all streams of the benchmark have in common: a thread that moves bytes until it is done or told to stop."""

from __future__ import annotations

import threading
from typing import Any

from rawproto import DeadlineExceeded

__all__ = ["Stream"]


class Stream:
    """One stream, one way, and the thread that moves its bytes.

    Args:
        index: number of the stream.

    Attributes:
        sending: whether this side sends.
        error: what ended the stream too early, or None.
        finished: set when nothing more will move.
        ended: when the stream itself ended, on the monotonic clock; None when it was stopped, or cannot be dated.
    """

    sending: bool
    ended: float | None = None

    def __init__(self, index: int) -> None:
        self.index = index
        self.error: OSError | None = None
        self.finished = threading.Event()
        self._moved = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stream {index}", daemon=True)

    @property
    def moved(self) -> int:
        """Bytes sent or received so far."""
        return self._moved

    def start(self) -> None:
        """Begin to move bytes."""
        self._thread.start()

    def stop(self) -> None:
        """Move no more, and wait for the thread to notice."""
        self._stop.set()
        self._interrupt()
        if self._thread.ident is not None:
            self._thread.join()

    def close(self) -> None:
        """Give up what the stream has; what is still on its way is dropped."""

    def counters(self) -> dict[str, Any]:
        """What is counted beside the bytes, as JSON."""
        return {}

    def _run(self) -> None:
        try:
            self._move()
        except DeadlineExceeded:
            pass  # only _interrupt() sets one
        except OSError as error:
            if not self._stop.is_set():
                self.error = error
        finally:
            self.finished.set()

    def _move(self) -> None:
        """Move bytes until the stream ends or ``_stop`` is set."""
        raise NotImplementedError

    def _interrupt(self) -> None:
        """End a call of the thread that waits."""
