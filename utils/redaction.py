"""The one redactor: removes what must not reach logs, errors, progress text or reports."""

from __future__ import annotations

import re

_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<rest>[^\s\"<>?#]*)(?P<query>[?#][^\s\"<>]*)?", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text without user names, passwords and queries of URLs, and without Authorization values."""
    return _AUTHORIZATION.sub(r"\1 …", _URL.sub(_without_secrets, text))


def without_query(link: str) -> str:
    """Return a link without its query and fragment, where signatures stand."""
    return re.split(r"[?#]", link, maxsplit=1)[0]


def _without_secrets(url: re.Match[str]) -> str:
    userinfo, _, rest = url["rest"].rpartition("@")
    authority = url["rest"].partition("/")[0]
    # A slash before the @ makes it part of the path, unless what stands first is no host:port but user:password.
    if "/" in userinfo and re.fullmatch(r"[^:]*(:[0-9]*)?|\[.*", authority):
        rest = url["rest"]
    quote = "'" if (url["query"] or "").endswith("'") else ""
    return url["scheme"] + rest + (f"?…{quote}" if url["query"] else "")
