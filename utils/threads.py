"""Work beside the caller: daemon threads that never keep a process from exiting, and a bounded, ordered map."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

from .errors import CartoonizeError
from .monitor import Monitor

THREAD_NAME = "cartoonize-"  # what the name of every thread of the pack begins with
T = TypeVar("T")
R = TypeVar("R")


def start(work: Callable[[], R], name: str) -> Future[R]:
    """Run the work in a daemon thread, started before this returns.

    `concurrent.futures` pools are joined when the interpreter ends, so one stuck request would keep ComfyUI from
    exiting; hence plain threads.
    """
    future: Future[R] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # handed to whoever asks the future, whatever it is
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=f"{THREAD_NAME}{name}", daemon=True).start()
    return future


def within(total_s: float, work: Callable[[], R], name: str, late: Callable[[Future[R]], None] | None = None) -> R:
    """Return the work's result, or raise TimeoutError after so many seconds, whatever it is stuck in.

    A socket's timeout starts anew with every byte; this one does not. The thread may finish behind it, and `late` is
    told then.
    """
    future = start(work, name)
    if not wait([future], timeout=total_s).done:
        if late is not None:
            future.add_done_callback(late)
        msg = f"no end after {round(total_s, 2):g} s"
        raise TimeoutError(msg)
    try:
        return future.result()
    except CartoonizeError as error:
        raise error.with_traceback(None)  # noqa: B904  # the frames of the work hold what was sent and received


def map_bounded(work: Callable[[T], R], items: Sequence[T], *, workers: int, monitor: Monitor) -> list[R]:
    """Return `work` of every item in the items' order, at most `workers` at a time.

    The first error is raised as soon as it happens, and Cancel within a tenth of a second; nothing new starts then.
    """
    futures: list[Future[R]] = []
    running: set[Future[R]] = set()
    for item in items:
        while len(running) >= workers:
            running = _wait(running, monitor)
        monitor.check()
        futures.append(start(lambda item=item: work(item), "batch"))  # type: ignore[misc]
        running.add(futures[-1])
    while running:
        running = _wait(running, monitor)
    return [future.result() for future in futures]


def _wait(running: set[Future[R]], monitor: Monitor) -> set[Future[R]]:
    monitor.check()
    done, pending = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return pending
