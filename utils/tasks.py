"""Waiting for a task: polling as an iterator with clock, sleep and cancel passed in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from .contract import Task
from .errors import DeadlineError, UnreachableError

MIN_WAIT_S = 0.5
MAX_WAIT_S = 30.0
MAX_RETRY_AFTER_S = 150.0
DEFAULT_WAIT_S = 2.0  # when the service names no wait_time
PATIENCE_S = 120.0  # from the first failure in a row; outages of a minute are common, longer ones rarely end soon


def watch(
    fetch: Callable[[], Task],
    *,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    check_cancel: Callable[[], None] = lambda: None,
    on_trouble: Callable[[UnreachableError, float], None] = lambda error, wait_s: None,
    jitter: Callable[[], float] = lambda: random.uniform(1.0, 1.05),
) -> Iterator[Task]:
    """Yield every state of a task until its final one.

    Asks again after the service's `wait_time`, clamped to 0.5..30 s and lengthened by the jitter (never shortened).
    Trouble in transport is reported and answered by longer waits. Raises DeadlineError after `timeout_s`, the last
    UnreachableError when trouble lasted two minutes or to the end, and whatever `check_cancel` raises at any wait.
    """
    start = trouble_since = clock()
    failures = 0
    state = "no answer yet"
    while True:
        check_cancel()
        try:
            task = fetch()
        except UnreachableError as error:
            failures += 1
            if failures == 1:
                trouble_since = clock()
            if clock() - trouble_since >= PATIENCE_S or clock() - start >= timeout_s:
                raise
            wait_s = trouble_wait_s(error, failures)
            on_trouble(error, wait_s)
        else:
            failures = 0
            state = task.status_words
            yield task
            if task.status.is_final:
                return
            wait_s = clamp_s(DEFAULT_WAIT_S if task.wait_time_s is None else task.wait_time_s)
        left_s = start + timeout_s - clock()
        if left_s <= 0:
            after = f" after {timeout_s:g} s" if timeout_s > 0 else ""
            msg = f"Not finished{after}; last state: {state}."
            raise DeadlineError(msg)
        check_cancel()
        sleep(min(wait_s * jitter(), left_s))


def clamp_s(wait_s: float) -> float:
    """Return a wait that neither hammers the service nor sleeps through the result."""
    return min(max(wait_s, MIN_WAIT_S), MAX_WAIT_S)


def trouble_wait_s(error: UnreachableError, failures: int) -> float:
    """Return how long to wait after a failure: what the service asks for, within bounds, else ever longer."""
    if error.retry_after_s is None:
        return backoff_s(failures)
    return min(max(error.retry_after_s, MIN_WAIT_S), MAX_RETRY_AFTER_S)


def backoff_s(failures: int) -> float:
    """Return 1, 2, 4, ... 30 s for the first, second, third failure in a row."""
    return float(min(2.0 ** (min(failures, 10) - 1), MAX_WAIT_S))
