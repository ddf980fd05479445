"""The one redactor: removes what must not reach logs, errors, progress text, the page, reports or the journal.

What it removes: every key of this process by its value, in the spellings that requests and replies use; what looks
like somebody's key; Authorization values; user names, passwords and queries of URLs.
"""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

SHORTEST_KEY = 12  # characters; a shorter one may be part of any word
KEY_SIGN = "[key]"  # what stands in a key's place
_LONG = 16  # characters: longer than the words of an address
_MOST_KNOWN = 100  # each start of the embedded service makes two

# Also within another URL, and as PHP writes it into JSON; what stands before "://" needs no looking at.
_URL = re.compile(r"(?P<scheme>:(?:/|\\+/){2})(?P<rest>(?:(?!:(?:/|\\+/){2})[^\s\"<>?#])*)(?P<query>[?#][^\s\"<>]*)?")
_HOST = re.compile(r"[^:@]*(:[0-9]*)?|\[[^@]*")
_AUTHORIZATION = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"""((?<![A-Za-z0-9])(?:(?:app|api|access|secret|client|auth|private)[_-]?|[a-z]{2,12}[_-])?"""
    r"""(?:key|secret|token|password|authorization)["']?\s*[:=]\s*["']?)"""
    r"""((?=[^\s"'&,;]{0,80}[0-9])(?=[^\s"'&,;]{0,80}[A-Za-z])[^\s"'&,;]{8,})""",
    re.IGNORECASE,
)
_VENDORS = re.compile(  # the shapes that services give their keys, so that they are recognized
    r"(?<![A-Za-z0-9_/-])(?:sk-[A-Za-z0-9]{20,}|sk-(?:proj|ant|or|svcacct)-[A-Za-z0-9_-]{16,}"
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{20,}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{30,}|AIza[A-Za-z0-9_-]{35}"
    r"|glpat-[A-Za-z0-9_-]{20,}|comfyui-[0-9a-f]{32,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,})"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
KNOWN = "a key of this machine"


class _Known:
    """The keys of this process, each with the pattern of all its spellings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._patterns: dict[str, re.Pattern[str]] = {}

    def add(self, key: str) -> None:
        with self._lock:
            pattern = self._patterns.pop(key, None) or re.compile(any_spelling(key))
            self._patterns = {**self._patterns, key: pattern}  # replaced whole: readers need no lock
            while len(self._patterns) > _MOST_KNOWN:
                self._patterns.pop(next(iter(self._patterns)))

    def hidden(self, text: str) -> str:
        patterns = self._patterns
        for key in sorted(patterns, key=len, reverse=True):  # the longer first: one may begin with another
            text = patterns[key].sub(KEY_SIGN, text)
        return text


_known = _Known()


def learn(key: str) -> None:
    """Remember a key, so that no text shows it; one that is too short to be told from words is not remembered."""
    if len(key) >= SHORTEST_KEY:
        _known.add(key)


def learn_address(url: str) -> None:
    """Remember what may be a key in an address that an operator has written down: long parts that are no words."""
    for part in re.split(r"[/?&=#@:]+", url):
        if len(part) >= _LONG and re.search("[0-9]", part) and re.search("[A-Za-z]", part) and "." not in part:
            learn(part)


def any_spelling(key: str) -> str:
    """Return the pattern of a key however it is written: plain, in JSON (once or twice), in a URL, in HTML."""
    return "".join(map(_spellings_of, key))


def _spellings_of(char: str) -> str:
    if char.isascii() and char.isalnum():
        return char
    in_json = {json.dumps(char)[1:-1], json.dumps(char, ensure_ascii=False)[1:-1], f"\\{char}", f"\\u{ord(char):04x}"}
    percent = "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    forms = {char, *in_json, *(json.dumps(form)[1:-1] for form in in_json), percent, percent.replace("%", "%25")}
    forms |= {html.escape(char), f"&#{ord(char)};", f"&#x{ord(char):x};", *("+" * (char == " "))}
    return f"(?i:{'|'.join(map(re.escape, sorted(forms, key=len, reverse=True)))})"


def in_texts(value: object, change: Callable[[str], str]) -> Any:
    """Return a value as JSON has them, every text in it changed; names of fields stay."""
    if isinstance(value, Mapping):
        return {name: in_texts(inner, change) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [in_texts(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def redact(text: str) -> str:
    """Return the text without secrets; hosts and paths of URLs stay readable."""
    text = _AUTHORIZATION.sub(r"\1 …", _URL.sub(_without_secrets, _known.hidden(text)))
    return _VENDORS.sub(KEY_SIGN, _ASSIGNED.sub(r"\1…", text))


def key_in(text: str) -> str:
    """Return which secret a text seems to hold, in words that follow "what looks like"; empty if none."""
    if _known.hidden(text) != text:
        return KNOWN
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
    if "/" in userinfo and _HOST.fullmatch(authority):
        rest = url["rest"]
    mark = "'" if (url["query"] or "").endswith("'") else ""
    return url["scheme"] + rest + (f"?…{mark}" if url["query"] else "")
