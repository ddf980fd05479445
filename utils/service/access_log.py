"""The access log: one JSON object a line, with what is needed to see who does what, and nothing that lets anybody in.

The name of a picture is a secret, so the log has the pattern of an address, never the address itself.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
from datetime import datetime, timezone
from pathlib import Path

from aiohttp import web

from ..logs import logger
from ..private_files import create_private_file

MAX_BYTES, KEPT_FILES = 5_000_000, 3
_log = logger(__name__)


def write(request: web.Request, status: int, seconds: float) -> None:
    """Log one request, if anybody listens."""
    if not _log.isEnabledFor(logging.INFO):
        return
    resource = request.match_info.route.resource
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "address": request.remote,
        "method": request.method[:20],
        "route": resource.canonical if resource else "unknown",
        "status": status,
        "seconds": round(seconds, 4),
        "sent_bytes": request.content_length or 0,
    }
    if task_id := request.match_info.get("task_id"):
        line["task_id"] = task_id[:100]
    _log.info("%s", json.dumps(line))


def send_to(target: str) -> logging.Handler:
    """Write the log to standard error ("-") or to a file, which is closed to others and rotated; raises OSError."""
    if target == "-":
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
    else:
        create_private_file(Path(target))
        handler = logging.handlers.RotatingFileHandler(
            target, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
        )
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False
    return handler


def stop(handler: logging.Handler) -> None:
    """Write no more."""
    _log.removeHandler(handler)
    _log.setLevel(logging.NOTSET)
    _log.propagate = True
    handler.close()
