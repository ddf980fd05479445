"""Widgets that several nodes have, each made anew: a page's extension may change what it gets."""

from __future__ import annotations

from typing import Any

from ..utils.choices import OnFailure

Widget = tuple[Any, dict[str, Any]]


def on_failure() -> Widget:
    """Return what becomes of images without a result."""
    tooltip = "Images without a result: stop with their reasons, leave them out, or put the original in their place."
    return [choice.value for choice in OnFailure], {"default": OnFailure.ERROR.value, "tooltip": tooltip}


def timeout() -> Widget:
    """Return how many seconds a task is waited for."""
    tooltip = "Seconds to wait for each task. The task goes on afterwards; run again to continue."
    return "INT", {"default": 600, "min": 1, "max": 86400, "tooltip": tooltip}


def variation() -> Widget:
    """Return what asks for a fresh result."""
    tooltip = "Change it for a fresh result of the same images: that is a new, paid task."
    return "INT", {"default": 0, "min": 0, "max": 2**31 - 1, "tooltip": tooltip}
