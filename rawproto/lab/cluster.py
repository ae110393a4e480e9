"""Campaigns on a cluster: a ``concurrent.futures`` executor over the workers of a dask scheduler.

Needs the package's extra ``dask``. The workers need rawproto, the scenario's module, and one thread each
(``dask worker ADDRESS --nthreads 1``): the simulator is pure Python.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

from rawproto.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DaskExecutor"]

Result = TypeVar("Result")

CONNECT_TIMEOUT = 10.0


class DaskExecutor(Executor):
    """Runs calls on the workers of a scheduler; what a worker had when it died is given to another.

    Args:
        address: of the scheduler, such as "tcp://10.0.0.1:8786".
        timeout: how long it may take to reach it, in seconds.

    Raises:
        LabError: the extra is not installed, or the scheduler does not answer.
    """

    def __init__(self, address: str, *, timeout: float = CONNECT_TIMEOUT) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise LabError(
                f"a cluster needs dask.distributed: pip install 'rawproto[dask]' ({error})"
            ) from error
        try:
            self._client = Client(address, timeout=timeout)
        except (OSError, ValueError) as error:
            raise LabError(f"no dask scheduler answers at {address}: {error}") from error
        # Two calls with equal arguments are two calls: seeds that are done again must be done.
        self._executor: Executor = self._client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Have ``fn(*args, **kwargs)`` called on some worker."""
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which goes on; calls that have not ended are waited for or cancelled."""
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()
