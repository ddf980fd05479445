"""The one redactor: removes what must not reach logs, errors, progress text, the page, reports or the journal.

What it removes: every key of this process by its value, in the spellings that requests and replies use; what looks
like somebody's key; Authorization values; user names, passwords and queries of URLs.
"""

from __future__ import annotations

import json
import re
import threading
from urllib.parse import quote, quote_plus

SHORTEST_KEY = 12  # characters; a shorter one may be part of any word
KEY_SIGN = "[key]"  # what stands in a key's place
_MOST_KNOWN = 100  # each start of the embedded service makes two

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,20}://)(?P<rest>[^\s\"<>?#]*)(?P<query>[?#][^\s\"<>]*)?", re.IGNORECASE
)
_AUTHORIZATION = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"""(\b(?:[a-z]{2,12}[_-]?)?(?:key|secret|token|password|authorization)["']?\s*[:=]\s*["']?)"""
    r"""((?=[^\s"'&,;]{0,200}[0-9])[^\s"'&,;]{8,})""",
    re.IGNORECASE,
)
_VENDORS = re.compile(  # the shapes that services give their keys, so that they are recognized
    r"(?<![A-Za-z0-9_/-])(?:sk[-_][A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{30,}|AIza[A-Za-z0-9_-]{35}"
    r"|glpat-[A-Za-z0-9_-]{20,}|comfyui-[0-9a-f]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,})"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


class _Known:
    """The keys of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, set[str]] = {}
        self._forms: list[str] = []  # the longer first: one key may begin with another

    def add(self, value: str) -> None:
        with self._lock:
            if value in self._values:
                return
            self._values[value] = spellings(value)
            while len(self._values) > _MOST_KNOWN:
                del self._values[next(iter(self._values))]
            self._forms = sorted(set().union(*self._values.values()), key=len, reverse=True)

    def hidden(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, KEY_SIGN)
        return text


_known = _Known()


def learn(key: str) -> None:
    """Remember a key, so that no text shows it; one that is too short to be told from words is not remembered."""
    if len(key) >= SHORTEST_KEY:
        _known.add(key)


def spellings(key: str) -> set[str]:
    """Return how a key may be written: as it is, in JSON (by PHP, too), in a URL."""
    in_json = json.dumps(key)[1:-1]
    return {key, in_json, in_json.replace("/", "\\/"), quote(key), quote(key, safe=""), quote_plus(key)}


def redact(text: str) -> str:
    """Return the text without secrets; hosts and paths of URLs stay readable."""
    text = _AUTHORIZATION.sub(r"\1 …", _URL.sub(_without_secrets, _known.hidden(text)))
    return _VENDORS.sub(KEY_SIGN, _ASSIGNED.sub(r"\1…", text))


def key_in(text: str) -> str:
    """Return which secret a text seems to hold, in words that follow "what looks like"; empty if none."""
    if _known.hidden(text) != text:
        return "a key of this machine"
    if _AUTHORIZATION.search(text):
        return "an Authorization header"
    if _PRIVATE_KEY.search(text) or _VENDORS.search(text) or _ASSIGNED.search(text):
        return "a key"
    return ""


def without_query(link: str) -> str:
    """Return a link without its query and fragment, where signatures stand."""
    return re.split(r"[?#]", link, maxsplit=1)[0]


def _without_secrets(url: re.Match[str]) -> str:
    userinfo, _, rest = url["rest"].rpartition("@")
    authority = url["rest"].partition("/")[0]
    # A slash before the @ makes it part of the path, unless what stands first is no host:port but user:password.
    if "/" in userinfo and re.fullmatch(r"[^:]*(:[0-9]*)?|\[.*", authority):
        rest = url["rest"]
    mark = "'" if (url["query"] or "").endswith("'") else ""
    return url["scheme"] + rest + (f"?…{mark}" if url["query"] else "")
