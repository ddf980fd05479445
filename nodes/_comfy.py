"""All contact with ComfyUI and torch: tensors, progress, Cancel, and where state lives.

Every import of them is inside a function, so the pack loads, and its nodes run, where neither is installed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from ..utils import config
from ..utils.errors import Cancelled, InputError
from ..utils.home import STATE_FOLDER, home_of
from ..utils.logs import logger
from ..utils.monitor import Monitor, Progress
from ..utils.threads import start

CATEGORY = "image/cartoonize"
R = TypeVar("R")
_SLICE_S = 0.05  # how long a wait may be deaf to Cancel
_log = logger(__name__)


def load_config() -> config.Config:
    """Read the configuration."""
    return config.load(_own_home())


def home() -> Path:
    """Return where state lives, without reading anything there."""
    return home_of(_own_home(), os.environ)


def _own_home() -> Path | None:
    """Return ComfyUI's system-user folder, which its HTTP server never serves; None without a ComfyUI."""
    try:
        import folder_paths
    except ImportError:
        return None
    try:
        return Path(folder_paths.get_system_user_directory(STATE_FOLDER))
    except AttributeError:  # older than 0.3.76: the same place, so that an update finds what was paid
        return Path(folder_paths.get_user_directory()) / f"__{STATE_FOLDER}"


def add_route(path: str, handler: Callable[[Any], Any]) -> None:
    """Answer GET and HEAD of a path on ComfyUI's server, if this is a ComfyUI; it takes routes only while it starts."""
    server = sys.modules.get("server")  # loaded long before any pack
    instance = getattr(getattr(server, "PromptServer", None), "instance", None)
    if instance is None or any(getattr(route, "path", "") == path for route in instance.routes):
        return  # a second copy of the pack: ComfyUI does not start with the same route twice
    instance.routes.get(path)(handler)


def only(values: Sequence[R]) -> R:
    """Return the value of a widget: nodes that take lists get every widget as a list of one."""
    return values[0]


def image_arrays(tensors: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """Return [H,W,C] float arrays of a list of IMAGE tensors [B,H,W,C]; raises InputError naming the wrong one."""
    arrays = []
    for number, tensor in enumerate(tensors, 1):
        try:
            values = np.asarray(tensor.detach().cpu().float() if hasattr(tensor, "detach") else tensor)
        except ValueError as error:
            msg = f"images {number} is no IMAGE: {error}"
            raise InputError(msg) from error
        if values.ndim != 4:
            msg = f"images {number} has the shape {list(values.shape)}; an IMAGE is [batch, height, width, channels]."
            raise InputError(msg)
        arrays += list(values)  # BHWC -> B times HWC
    return arrays


def to_tensor(values: np.ndarray[Any, Any]) -> Any:
    """Return the array as a torch tensor, sharing its memory."""
    import torch

    return torch.from_numpy(values)


def blocked(message: str | None) -> Any:
    """Return a value that stops the nodes behind this output, or behind this item of a list.

    With a message they say why, which ends the run; without one they are left out in silence.
    """
    try:
        from comfy_execution.graph import ExecutionBlocker
    except ImportError:
        from comfy_execution.graph_utils import ExecutionBlocker
    return ExecutionBlocker(message)


def run_at_once(work: Callable[[Monitor], R], on_cancel: str) -> R:
    """Run the work in a thread and wait for it within the node's first step, never awaiting.

    `on_cancel` is logged when Cancel ends the node: what became of the work, and how to go on.

    ComfyUI starts a ready sampler the moment an async node awaits, and its loop stands still until the sampler is
    done. A short node that awaits would be continued only then, and all that hangs on it with it.
    """
    watched = _Watched(work, on_cancel)
    while not watched.future.done():
        watched.look()
        wait([watched.future], timeout=_SLICE_S)
    return watched.result()


async def run_beside(work: Callable[[Monitor], R], on_cancel: str) -> R:
    """Run the work in a thread, started before the first await, so that it goes on while a sampler holds the loop.

    `on_cancel` is logged when Cancel ends the node: what became of the work, and how to go on.
    """
    watched = _Watched(work, on_cancel)
    done = asyncio.wrap_future(watched.future)
    try:
        while not done.done():
            watched.look()
            await asyncio.wait([done], timeout=_SLICE_S)
    except asyncio.CancelledError:  # another node failed; leaving this node it would end ComfyUI's worker thread
        watched.cancel()
        raise _interrupt() from None
    finally:
        done.cancel()  # the work may outlive this loop, and must not call back into it
    return watched.result()


class _Watched(Generic[R]):
    """Work in a thread, seen from its node: hands Cancel in, and progress out to the page."""

    def __init__(self, work: Callable[[Monitor], R], on_cancel: str) -> None:
        self._on_cancel = on_cancel
        self._monitor = Monitor()
        self._show = _progress_display()
        self.future: Future[R] = start(lambda: work(self._monitor), "node")

    def look(self) -> None:
        """Show new progress; end the node as cancelled if Cancel was pressed, whatever the work is doing."""
        if _cancel_pressed():
            self.cancel()
            raise _interrupt()
        try:
            self._draw()
        except BaseException:  # drawing progress is where ComfyUI raises its interrupt, too
            self.cancel()
            raise

    def cancel(self) -> None:
        """Tell the work to stop at its next wait, without waiting for it."""
        self._monitor.cancel()
        _log.info("Cancelled while: %s. %s", self._monitor.progress.text or "starting", self._on_cancel)

    def result(self) -> R:
        """Return the result of finished work, or raise its error.

        A result that is there is handed on even if Cancel was pressed meanwhile: ComfyUI keeps it, and it may have
        cost money.
        """
        if not _cancel_pressed():
            self._draw()  # before an error, too: it may be shorter than the time between two looks
        return self.future.result()

    def _draw(self) -> None:
        for progress in self._monitor.news():
            self._show(progress)


def _cancel_pressed() -> bool:
    try:
        from comfy.model_management import processing_interrupted
    except ImportError:
        return False
    return bool(processing_interrupted())


def _interrupt() -> BaseException:
    """Return ComfyUI's interrupt; it is a BaseException there since 0.20."""
    try:
        from comfy.model_management import InterruptProcessingException
    except ImportError:
        return Cancelled("Cancelled.")
    error: BaseException = InterruptProcessingException()
    return error


def _progress_display() -> Callable[[Progress], None]:
    """Return what draws progress on the executing node: its bar and its status text; nothing without a page."""
    try:
        from comfy.utils import ProgressBar
        from comfy_execution.utils import get_executing_context
        from server import PromptServer
    except ImportError:
        return lambda progress: None
    context = get_executing_context()
    node_id = context.node_id if context else None
    bar = ProgressBar(1, node_id=node_id)
    server = getattr(PromptServer, "instance", None)

    def show(progress: Progress) -> None:
        bar.update_absolute(progress.done, progress.total)
        if server is not None and node_id is not None:
            server.send_progress_text(progress.text, node_id)

    return show
