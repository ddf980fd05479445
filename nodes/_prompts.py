"""Graphs on their way into ComfyUI's queue: a key in a text of the pack's nodes is taken out before anything is saved.

The node that held it is refused, but ComfyUI runs the other outputs of the graph, and their pictures hold all of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def without_keys(data: Any, node_ids: Collection[str]) -> Any:
    """Return what was posted to be queued, every text of those nodes that holds a key replaced by a sign for one."""
    from ..utils.pasted_keys import problem
    from ..utils.redaction import KEY_SIGN, in_texts

    prompt = data.get("prompt") if isinstance(data, dict) else None
    nodes = [node for node in prompt.values() if isinstance(node, dict)] if isinstance(prompt, dict) else []
    inputs = [node.get("inputs") for node in nodes if node.get("class_type") in node_ids]
    texts = [text for values in inputs if isinstance(values, dict) for text in values.values()]
    keys = {text for text in texts if isinstance(text, str) and problem("", text)}
    return in_texts(data, lambda text: KEY_SIGN if text in keys else text) if keys else data
