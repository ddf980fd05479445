"""How a node runs its work: in a thread of its own, deaf to Cancel for no longer than a blink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from ..utils.errors import CartoonizeError
from ..utils.logs import logger
from ..utils.monitor import Monitor
from ..utils.redaction import redact
from ..utils.threads import start
from . import _comfy

R = TypeVar("R")
_SLICE_S = 0.05  # how long a wait may be deaf to Cancel
_log = logger(__name__)


def run_at_once(work: Callable[[Monitor], R], if_cancelled: str) -> R:
    """Run the work in a thread and wait for it within the node's first step, never awaiting.

    `if_cancelled` is said when Cancel ends the node: what became of the work, and how to go on; the work may refine it.

    ComfyUI starts a ready sampler the moment an async node awaits, and its loop stands still until the sampler is
    done. A short node that awaits would be continued only then, and all that hangs on it with it.
    """
    watched = _Watched(work, if_cancelled)
    while not watched.future.done():
        watched.look()
        wait([watched.future], timeout=_SLICE_S)
    return watched.result()


async def run_beside(work: Callable[[Monitor], R], if_cancelled: str) -> R:
    """Run the work in a thread, started before the first await, so that it goes on while a sampler holds the loop.

    `if_cancelled` is as for `run_at_once`.
    """
    watched = _Watched(work, if_cancelled)
    done = asyncio.wrap_future(watched.future)
    try:
        while not done.done():
            watched.look()
            await asyncio.wait([done], timeout=_SLICE_S)
    except asyncio.CancelledError:  # another node failed; leaving this node it would end ComfyUI's worker thread
        watched.cancel()
        raise _comfy.interrupt() from None
    finally:
        done.cancel()  # the work may outlive this loop, and must not call back into it
    return watched.result()


class _Watched(Generic[R]):
    """Work in a thread, seen from its node: hands Cancel in, and progress out to the page.

    Texts are sent by the thread of the work, so that they go on while a sampler holds ComfyUI's loop; the bar is drawn
    by the node, because ComfyUI's bar raises its interrupt in whoever draws it.
    """

    def __init__(self, work: Callable[[Monitor], R], if_cancelled: str) -> None:
        self._node = _comfy.NodeDisplay()
        self._monitor = Monitor(lambda progress: self._node.say(progress.text), if_cancelled)
        self.future: Future[R] = start(lambda: work(self._monitor), "node")

    def look(self) -> None:
        """Draw the bar; end the node as cancelled if Cancel was pressed, whatever the work is doing."""
        if _comfy.cancel_pressed():
            self.cancel()
            raise _comfy.interrupt()
        try:
            self._node.draw(self._monitor.progress.share)
        except BaseException:  # drawing the bar is where ComfyUI raises its interrupt, too
            self.cancel()
            raise

    def cancel(self) -> None:
        """Tell the work to stop at its next wait, without waiting for it."""
        self._monitor.cancel()
        told = self._monitor.if_cancelled
        _log.info("Cancelled while: %s. %s", self._monitor.progress.text or "starting", told)
        self._node.say(redact(f"Cancelled. {told}"))

    def result(self) -> R:
        """Return the result of finished work, or raise its error.

        A result that is there is handed on even if Cancel was pressed meanwhile: ComfyUI keeps it, and it may have
        cost money.
        """
        try:
            result = self.future.result()
        except CartoonizeError as error:
            self._node.say(error.sentence)
            raise
        if not _comfy.cancel_pressed():
            self._node.draw(self._monitor.progress.share)
        return result
