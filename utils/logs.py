"""The pack's loggers: whatever is written through them, or through urllib3 for the pack, is redacted."""

from __future__ import annotations

import logging
import threading
from functools import cache

from .redaction import redact
from .threads import THREAD_NAME

# They log addresses with their queries, and lines of requests that they cannot read.
_SPEAK_FOR_US = (
    "urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry", "aiohttp.server", "asyncio",
)  # fmt: skip
_formatter = logging.Formatter()


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            record.msg, record.args = redact(record.getMessage()), ()
        except (TypeError, ValueError):  # arguments that do not fit: logging says so in its own way
            return True
        if record.exc_info and not record.exc_text:  # formatters use this text where it is there
            record.exc_text = redact(_formatter.formatException(record.exc_info))
        return True


class _RedactingOurs(_Redacting):
    """For loggers that others use, too: what is said in the pack's own threads."""

    def filter(self, record: logging.LogRecord) -> bool:
        if threading.current_thread().name.startswith(THREAD_NAME):
            return super().filter(record)
        return True


def logger(name: str) -> logging.Logger:
    """Return the logger of a module of the pack."""
    found = logging.getLogger(name)
    if not found.filters:
        found.addFilter(_Redacting())
    return found


@cache
def redact_libraries() -> None:
    """Redact from now on what the libraries log in the pack's threads; once for a process, before the first request."""
    for name in _SPEAK_FOR_US:
        logging.getLogger(name).addFilter(_RedactingOurs())
