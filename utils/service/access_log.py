"""The access log: one JSON object a line, with what is needed to see who does what, and nothing that lets anybody in.

The name of a picture is a secret, so the log has the pattern of an address, never the address itself.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import re
import stat
import sys
from datetime import datetime, timezone
from io import TextIOWrapper

from aiohttp import hdrs, web

MAX_BYTES, KEPT_FILES = 5_000_000, 3
_TASK_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_log = logging.getLogger(__name__)  # not a redacting one, which could break the JSON: no value is anybody's text


def write(request: web.Request, status: int, seconds: float) -> None:
    """Log one request, if anybody listens."""
    if not _log.isEnabledFor(logging.INFO):
        return
    resource = request.match_info.route.resource
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "address": request.remote,
        "method": request.method if request.method in hdrs.METH_ALL else "other",
        "route": resource.canonical if resource else "unknown",
        "status": status,
        "seconds": round(seconds, 4),
        "sent_bytes": request.content_length or 0,
    }
    if _TASK_ID.fullmatch(task_id := request.match_info.get("task_id", "")):
        line["task_id"] = task_id  # else it may be anything
    _log.info("%s", json.dumps(line))


class _PrivateFile(logging.handlers.RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        """Open the file anew, for its owner only: at the start, and after each rotation."""
        return TextIOWrapper(open(self.baseFilename, "ab", opener=_for_owner), encoding="utf-8")


def _for_owner(path: str, flags: int) -> int:
    handle = os.open(path, flags, 0o600)
    if os.name != "nt" and stat.S_ISREG(os.fstat(handle).st_mode):  # /dev/null stays everybody's
        os.fchmod(handle, 0o600)  # one that was there may have been open to others
    return handle


def send_to(target: str) -> logging.Handler:
    """Write the log to standard error ("-") or to a file, which is closed to others and rotated; raises OSError."""
    if target == "-":
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
    else:
        handler = _PrivateFile(target, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
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
