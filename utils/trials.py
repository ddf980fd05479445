"""Trials that somebody asks a server for: one at a time of each thing, and an answer in time, whatever is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from .errors import CartoonizeError
from .steps import Step
from .threads import start


class Trials:
    """The trials of one server; used from its loop only, the work is done in threads of the pack."""

    def __init__(self) -> None:
        self._running: dict[str, Future[None]] = {}

    def is_running(self, subject: str) -> bool:
        """Whether a trial of this subject has not ended, even if its answer was given already."""
        running = self._running.get(subject)
        return running is not None and not running.done()

    async def run(self, subject: str, steps: Callable[[], Iterable[Step]], total_s: float) -> list[Step]:
        """Return the steps that are done within so many seconds, and one more that says so if there are others."""
        done: list[Step] = []
        future = start(lambda: _collect(steps, done), "trial")
        self._running = {name: other for name, other in self._running.items() if not other.done()} | {subject: future}
        ended = asyncio.wrap_future(future)
        try:
            await asyncio.wait([ended], timeout=total_s)
            if ended.done():
                ended.result()
                return done
        finally:
            ended.cancel()  # the thread may outlive this, and is listened to no more
        return [*done, Step("end", False, f"no end after {total_s:g} s; what is stuck may go on for a while")]


def _collect(steps: Callable[[], Iterable[Step]], done: list[Step]) -> None:
    try:
        done.extend(steps())
    except CartoonizeError as error:
        done.append(Step("configuration", False, str(error)))
