"""The nodes, called as ComfyUI calls them: every input a list, the coroutine driven by an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from cartoonize_pack import NODE_CLASS_MAPPINGS

IMAGE_TO_URL, SUBMIT, POLL, PORTRAIT = (
    NODE_CLASS_MAPPINGS[f"Cartoonize{name}"] for name in ("ImageToURL", "Submit", "PollResult", "Portrait")
)
DEFAULTS: dict[type, dict[str, Any]] = {
    IMAGE_TO_URL: {"host": "auto", "format": "auto", "out_of_limits": "fit"},
    SUBMIT: {"priority": 1, "profile": "auto", "variation": 0},
    POLL: {"timeout": 60, "on_failure": "error", "sizes": "match first", "profile": "auto"},
    PORTRAIT: {"profile": "auto", "on_failure": "error", "sizes": "match first", "timeout": 60, "variation": 0},
}


def execute(node: type, **inputs: Any) -> Any:
    """Run a node as ComfyUI does with INPUT_IS_LIST; values that are lists already are given as they are.

    Of nodes that show pictures only the outputs are returned; `executed` has the rest.
    """
    answer = executed(node, **inputs)
    return answer["result"] if node in (POLL, PORTRAIT) else answer


def executed(node: type, **inputs: Any) -> Any:
    """Run a node and return all that it hands to ComfyUI."""
    return asyncio.run(coroutine(node, **inputs))


def coroutine(node: type, **inputs: Any) -> Any:
    """The coroutine of such a run, not yet started."""
    lists = {k: v if isinstance(v, list) else [v] for k, v in (DEFAULTS[node] | inputs).items()}
    return getattr(node(), node.FUNCTION)(**lists)


def batch(count: int = 1, height: int = 260, width: int = 300, value: float = 0.5) -> np.ndarray:
    """An IMAGE: [B,H,W,C] floats."""
    return np.full((count, height, width, 3), value, np.float32)
