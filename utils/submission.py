"""Links -> one task: what Submit Cartoonize and the command line do between the links and the task id."""

from __future__ import annotations

import logging

from .backend import Backend
from .monitor import Monitor, count

_log = logging.getLogger(__name__)


def lines(text: str) -> list[str]:
    """Return the non-empty lines of a text without surrounding spaces: links, or task ids."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def submit(backend: Backend, links: list[str], priority: int, monitor: Monitor) -> str:
    """Create one task and return its id; raises as `Client.create_task` does.

    The id is logged here, in the thread that received it: whoever pressed Cancel meanwhile finds it there.
    """
    backend.check_links(links)
    images = count(len(links), "image")
    monitor.report(0, 1, f"submitting {images} to profile {backend.profile.name!r}")
    monitor.check()
    with backend.client() as client:
        task_id = client.create_task(links, priority)
    accepted = f"task {task_id}: {images} accepted by profile {backend.profile.name!r}"
    _log.info("%s", accepted)
    monitor.report(1, 1, accepted)
    return task_id
