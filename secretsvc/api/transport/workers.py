"""Several processes that serve one listening socket, and the parent that keeps them so.

Not uvicorn's own supervisor: that takes the application as a text to import, so a checked configuration could not be
handed over; and a worker of it that is stopped ends by the signal.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from secretsvc import core_dumps
from secretsvc.api import metrics_folder

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from multiprocessing.context import SpawnProcess

_PAUSE = 1.0
"""Least seconds between the starts of two workers in one place."""
_LOG = logging.getLogger("ksecret")


class Workers:
    """Parent of the processes."""

    def __init__(self, work: Callable[[list[socket.socket]], None], listeners: list[socket.socket], count: int) -> None:
        """`work` is pickled and runs in each worker; it takes SIGTERM as the wish to stop."""
        self._work = work
        self._listeners = listeners
        self._count = count
        self._woken, self._waker = multiprocessing.Pipe(duplex=False)

    def run(self) -> None:
        """Return when a signal came and every worker has ended; starts a new one for any that ends before."""
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(sig) is not signal.SIG_IGN:
                signal.signal(sig, lambda *_: self._waker.send(None))
        workers = [self._started() for _ in range(self._count)]
        began = time.monotonic()
        while not self._woken.poll():
            wait([self._woken, *(worker.sentinel for worker in workers)])
            for at, worker in enumerate(workers):
                if worker.exitcode is not None and not self._woken.poll(max(0.0, began + _PAUSE - time.monotonic())):
                    metrics_folder.forget(worker.pid or 0)
                    _LOG.error("worker %s ended with %s: a new one starts", worker.pid, worker.exitcode)
                    began = time.monotonic()
                    workers[at] = self._started()
        for listener in self._listeners:
            listener.close()
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()

    def _started(self) -> SpawnProcess:
        worker = multiprocessing.get_context("spawn").Process(target=_run, args=(self._work, self._listeners))
        worker.start()
        return worker


def _run(work: Callable[[list[socket.socket]], None], listeners: list[socket.socket]) -> None:
    """Live as a worker."""
    core_dumps.keep_memory_private()
    metrics_folder.hold()
    threading.Thread(target=_follow, daemon=True).start()
    parent = os.getppid()
    work(listeners)
    if os.getppid() != parent:
        metrics_folder.remove()  # what the parent would have done
    os._exit(0)  # threads that hang in a backend would be waited for


def _follow() -> None:
    """End this process in good order when its parent is gone."""
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
