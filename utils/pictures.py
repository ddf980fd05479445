"""Fetching a finished picture: patiently, because it is paid for, and only what is a picture."""

from __future__ import annotations

import time

from .addresses import Policy
from .download import fetch
from .images import READABLE_FORMATS, Header, inspect
from .monitor import Monitor
from .patience import patiently

MAX_RESULT_BYTES = 200_000_000
DOWNLOAD_TOTAL_S = 300.0
DOWNLOAD_RETRY_WAITS_S = (0.5, 2.0)
GONE = (401, 403, 404, 410)  # asking again would not help


def fetch_picture(url: str, policy: Policy, monitor: Monitor) -> tuple[bytes, Header]:
    """Return the bytes of a result and what they say of themselves; raises as `download.fetch`, or InputError."""
    data = _fetch_patiently(url, policy, monitor)
    return data, inspect(data, READABLE_FORMATS, "the result")


def _fetch_patiently(url: str, policy: Policy, monitor: Monitor) -> bytes:
    """Fetch a result, once more after each of the waits, unless the answer says that it is gone."""
    end = time.monotonic() + DOWNLOAD_TOTAL_S
    return patiently(
        lambda: fetch(url, policy, max_bytes=MAX_RESULT_BYTES, total_s=end - time.monotonic(), kinds=READABLE_FORMATS),
        DOWNLOAD_RETRY_WAITS_S,
        monitor.pause,
        lambda error, wait_s: error.http_status not in GONE and time.monotonic() + wait_s < end,
    )
