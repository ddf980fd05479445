"""The few ComfyUI and torch names that the nodes touch, for a suite that runs without either.

The real ones are used by tests/test_comfyui.py; this stand-in holds an interrupt flag and remembers progress.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Interrupt(BaseException):
    """Stands for InterruptProcessingException, which is a BaseException in ComfyUI since 0.20."""


class StandInHost:
    """An interrupt flag to set, and the progress that the page would show."""

    def __init__(self) -> None:
        self.interrupted = False
        self.bars: list[tuple[int, int]] = []
        self.texts: list[str] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the modules importable until the test ends."""
        context = SimpleNamespace(node_id="7", prompt_id="p", list_index=None)
        page = SimpleNamespace(send_progress_text=lambda text, node_id, sid=None: self.texts.append(text))
        modules: dict[str, dict[str, Any]] = {
            "comfy": {},
            "comfy.model_management": {
                "processing_interrupted": lambda: self.interrupted,
                "InterruptProcessingException": Interrupt,
            },
            "comfy.utils": {"ProgressBar": self._progress_bar},
            "comfy_execution": {},
            "comfy_execution.utils": {"get_executing_context": lambda: context},
            "comfy_execution.graph": {"ExecutionBlocker": lambda message: SimpleNamespace(message=message)},
            "server": {"PromptServer": SimpleNamespace(instance=page)},
            "torch": {"from_numpy": lambda values: values},
        }
        for name, attributes in modules.items():
            module = ModuleType(name)
            module.__dict__.update(attributes)
            monkeypatch.setitem(sys.modules, name, module)

    def _progress_bar(self, total: int, node_id: str | None = None) -> SimpleNamespace:
        return SimpleNamespace(update_absolute=lambda value, total: self.bars.append((value, total)))
