"""The terminal of the command line: what it says to people, and a progress bar with Ctrl-C."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import wait
from typing import TypeVar

from .monitor import Monitor
from .steps import Step
from .threads import start

_BAR_WIDTH = 24
R = TypeVar("R")


def say(text: str) -> None:
    """Tell the person something, on standard error."""
    print(text, file=sys.stderr)  # noqa: T201  # the command line talks to people


def show(text: str) -> None:
    """Print what the command was asked for, on standard output."""
    print(text)  # noqa: T201  # the command's output


def show_json(value: object) -> None:
    """Print it as JSON, for scripts."""
    show(json.dumps(value, indent=2, ensure_ascii=False))


def show_steps(steps: Iterable[Step], *, as_json: bool) -> int:
    """Print each step of a trial when it is done, or all of them as JSON; return the exit code."""
    done = []
    for step in steps:
        done.append(step)
        if not as_json:
            show(step.line)
    if as_json:
        show_json([step.table for step in done])
    return 0 if all(step.is_good for step in done) else 1


def watched(work: Callable[[Monitor], R]) -> R:
    """Run the work with a progress bar; Ctrl-C stops the waiting at once."""
    monitor = Monitor()
    future = start(lambda: work(monitor), "cli")
    bar = _Bar(monitor)
    try:
        while not future.done():
            bar.draw()
            wait([future], timeout=0.1)
    except KeyboardInterrupt:
        monitor.cancel()
        raise
    finally:
        bar.clear()
    return future.result()


class _Bar:
    """A progress bar on standard error, if that is a terminal; drawn anew only when something changed."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._visible = sys.stderr.isatty()
        self._drawn = ""

    def draw(self) -> None:
        """Draw the latest progress over the previous one, cut to the terminal's width."""
        progress = self._monitor.progress
        full = round(_BAR_WIDTH * progress.share)
        text = progress.text.partition("\n")[0]
        line = f"[{'#' * full}{'-' * (_BAR_WIDTH - full)}] {text}"[: shutil.get_terminal_size().columns - 1]
        if self._visible and line != self._drawn:
            self._drawn = line
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self._visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
