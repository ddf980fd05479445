"""All contact with ComfyUI and torch: tensors, the display of a node, Cancel, routes, and where state lives.

Every import of them is inside a function, so the pack loads, and its nodes run, where neither is installed.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..utils.errors import Cancelled, InputError
from ..utils.home import STATE_FOLDER, home_of
from ..utils.logs import logger

if TYPE_CHECKING:  # imported when a node runs: ComfyUI's start waits for what is imported here
    from ..utils.config import Config
    from ..utils.images import Picture

CATEGORY = "image/cartoonize"
R = TypeVar("R")
_BAR_STEPS = 1000
_log = logger(__name__)


def load_config() -> Config:
    """Read the configuration."""
    from ..utils import config

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


def add_route(path: str, handler: Callable[[Any], Any], method: str = "GET") -> None:
    """Answer a method at a path of ComfyUI's server, if this is a ComfyUI; it takes routes only while it starts.

    HEAD goes with GET.
    """
    if (routes := getattr(_prompt_server(), "routes", None)) is None:
        return
    if any((getattr(route, "path", ""), getattr(route, "method", "")) == (path, method) for route in routes):
        return  # a second copy of the pack: ComfyUI does not start with the same route twice
    getattr(routes, method.lower())(path)(handler)


def on_prompt(handler: Callable[[Any], Any]) -> None:
    """Let a handler see, and replace, what is posted to be queued, if this is a ComfyUI."""
    if (add := getattr(_prompt_server(), "add_on_prompt_handler", None)) is not None:
        add(handler)


def _prompt_server() -> Any:
    server = sys.modules.get("server")  # loaded long before any pack
    return getattr(getattr(server, "PromptServer", None), "instance", None)


def listens_at() -> tuple[str, ...]:
    """Return the addresses at which ComfyUI's server listens, an empty one for all; none without a ComfyUI."""
    try:
        from comfy.cli_args import args
    except ImportError:
        return ()
    return tuple(str(args.listen).split(","))


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


def tensor_or_block(values: np.ndarray[Any, Any] | None, why_none: str | None) -> Any:
    """Return the array as a torch tensor, sharing its memory; for None a block that says why."""
    if values is None:
        return _block(why_none)
    import torch

    return torch.from_numpy(values)


def preview(pictures: Sequence[Picture]) -> dict[str, list[dict[str, str]]]:
    """Return what shows the pictures on the node; they lie in ComfyUI's temporary folder, without any metadata.

    A preview that cannot be written is left out: it must not cost the pictures.
    """
    try:
        import folder_paths
    except ImportError:
        return {}
    from ..utils.images import encode_jpeg, encode_png

    shown = []
    try:
        folder = Path(folder_paths.get_temp_directory())
        folder.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            kind = "jpg" if picture.alpha is None else "png"
            name = f"cartoonize_{uuid.uuid4().hex}.{kind}"
            (folder / name).write_bytes(encode_jpeg(picture) if kind == "jpg" else encode_png(picture))
            shown.append({"filename": name, "subfolder": "", "type": "temp"})
    except OSError as error:
        _log.warning("a preview cannot be written: %s", error)
    return {"images": shown}


def _block(message: str | None) -> Any:
    """Return a value that stops the nodes behind this output, or behind this item of a list.

    With a message they say why, which ends the run; without one they are left out in silence.
    """
    try:
        from comfy_execution.graph import ExecutionBlocker
    except ImportError:
        from comfy_execution.graph_utils import ExecutionBlocker
    return ExecutionBlocker(message)


class NodeDisplay:
    """The bar and the status text of the executing node; what a host does not have is left out in silence."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._send: Callable[..., None] | None = None
        self._node_id: str | None = None
        self._page: str | None = None
        self._drawn = -1
        try:
            from comfy.utils import ProgressBar
            from comfy_execution.utils import get_executing_context
            from server import PromptServer
        except ImportError:
            return
        context = get_executing_context()
        self._node_id = context.node_id if context else None
        self._bar = ProgressBar(_BAR_STEPS, node_id=self._node_id)
        server = getattr(PromptServer, "instance", None)
        self._send = getattr(server, "send_progress_text", None)
        self._page = getattr(server, "client_id", None)  # that queued the graph; to all where nobody is named

    def draw(self, share: float) -> None:
        """Draw the bar, if it has moved; from 0 to 1."""
        steps = round(share * _BAR_STEPS)
        if self._bar is not None and steps != self._drawn:
            self._drawn = steps
            self._bar.update_absolute(steps, _BAR_STEPS)

    def say(self, text: str) -> None:
        """Show the text on the node, in the page that queued the graph; safe in any thread."""
        if self._send is not None and self._node_id is not None:
            self._send(text, self._node_id, self._page)


def cancel_pressed() -> bool:
    """Return whether the user has pressed Cancel."""
    try:
        from comfy.model_management import processing_interrupted
    except ImportError:
        return False
    return bool(processing_interrupted())


def interrupt() -> BaseException:
    """Return ComfyUI's interrupt; it is a BaseException there since 0.20."""
    try:
        from comfy.model_management import InterruptProcessingException
    except ImportError:
        return Cancelled("Cancelled.")
    error: BaseException = InterruptProcessingException()
    return error
