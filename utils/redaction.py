"""The one redactor: removes what must not reach logs, errors, progress text or reports."""

from __future__ import annotations

import re

_URL = re.compile(r"(?P<scheme>\bhttps?://)(?:[^\s/@'\"<>]*@)?(?P<rest>[^\s?#'\"<>]*)(?P<query>[?#][^\s'\"<>]*)?", re.I)
_AUTHORIZATION = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}")


def redact(text: str) -> str:
    """Return the text without user names, passwords and queries of URLs, and without Authorization values."""
    text = _URL.sub(lambda m: m["scheme"] + m["rest"] + ("?…" if m["query"] else ""), text)
    return _AUTHORIZATION.sub(r"\1 …", text)
