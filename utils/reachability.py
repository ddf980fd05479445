"""Links on trial, before anything is paid: can the service fetch them, and are they pictures that it takes?"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .addresses import Policy, ip_of, shown_name
from .contract import Limits, printable
from .download import Peek, peek
from .errors import CartoonizeError, InputError, UnreachableError
from .fitting import limit_problem
from .formats import kind_of, stated_size
from .http_errors import PASSING
from .links import expiry_of
from .monitor import Monitor, count
from .patience import patiently
from .threads import map_bounded

PARALLEL = 8
PEEK_S = 20.0
RETRY_WAITS_S = (0.3, 1.0)
FIRST_BYTES = 65536  # the size of a JPEG stands behind its metadata
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body")
_BEFORE_PAGES = b"\xef\xbb\xbf\xfe\xff \t\r\n\f\x00"  # byte order marks and blanks
_LOGIN = re.compile(rb"type=[\"']?password|\b(?:log|sign)[ -]?in\b", re.IGNORECASE)
_SAID = re.compile(rb"<Message>([^<]{1,200})</Message>|\"(?:msg|message)\": ?\"([^\"]{1,200})\"")
_NOT_THERE: Mapping[int, str] = {
    401: "asks for a login (HTTP 401), which the service does not have",
    403: "is refused (HTTP 403): its signature is wrong or has expired (by the host's clock), or it is not public",
    404: "is not there, or not any more (HTTP 404)",
    407: "asks for a login at a proxy (HTTP 407)",
    410: "is not there any more (HTTP 410)",
    416: "leads to an empty file (HTTP 416)",
}


@dataclass(frozen=True)
class Trial:
    """What links are held to: the service's limits, who may be asked, and for how many seconds they must last."""

    limits: Limits
    policy: Policy
    must_last_s: float


def unusable(links: Sequence[str], trial: Trial, now_s: float) -> dict[str, str]:
    """Return the links of which it can be told without asking anybody that the service cannot use them, and why."""
    problems = {
        link: expiry_problem(expiry_of(link), now_s, trial.must_last_s)
        or own_address_problem(link, trial.policy.allow_hosts)
        for link in links
    }
    return {link: words for link, words in problems.items() if words}


def unreachable(links: Sequence[str], trial: Trial, monitor: Monitor) -> dict[str, str]:
    """Return the links that the service could not fetch or take, each with the reason in words; asks each of them.

    Nothing of this machine goes along: no credentials, no cookies. Raises Cancelled.
    """
    wanted = list(dict.fromkeys(links))
    if not wanted:
        return {}
    monitor.report(0, len(wanted), f"checking that the service can fetch {count(len(wanted), 'link')}")

    def problem(link: str) -> str:
        words = _problem(link, trial, monitor)
        monitor.step(f"checking that the service can fetch {count(len(wanted), 'link')}")
        return words

    problems = map_bounded(problem, wanted, workers=PARALLEL, monitor=monitor)
    return {link: words for link, words in zip(wanted, problems, strict=True) if words}


def own_address_problem(link: str, allow_hosts: Sequence[str]) -> str:
    """Return what is wrong with a link that only this machine can follow, in words; empty for all others."""
    host = urlsplit(link).hostname or ""
    ip = ip_of(host)
    is_own = host.rstrip(".") == "localhost" or (ip is not None and (ip.is_loopback or ip.is_unspecified))
    return "is on this machine, where the service cannot fetch it" if is_own and host not in allow_hosts else ""


def _problem(link: str, trial: Trial, monitor: Monitor) -> str:
    def attempt() -> str:
        answer = peek(link, trial.policy, first_bytes=FIRST_BYTES, total_s=PEEK_S)
        words = answer_problem(answer, link, trial.limits)
        if answer.status in PASSING:
            raise UnreachableError(words, http_status=answer.status)
        return words

    try:
        return patiently(attempt, RETRY_WAITS_S, monitor.pause)
    except (InputError, UnreachableError) as error:
        is_answer = isinstance(error, UnreachableError) and error.http_status is not None
        return str(error) if is_answer else f"cannot be fetched from outside: {str(error).removesuffix('.')}"


def expiry_problem(ends_s: float | None, now_s: float, must_last_s: float) -> str:
    """Return why a link that ends then cannot be used, in words; empty if it lasts long enough."""
    if ends_s is None or ends_s - now_s >= must_last_s:
        return ""
    if ends_s <= now_s:
        return f"has expired {_duration(now_s - ends_s)} ago"
    left, needed = _duration(ends_s - now_s), _duration(must_last_s)
    left = left if left != needed else f"{math.floor(ends_s - now_s)} s"
    return f"expires in {left}; a task may take {needed}"


def answer_problem(answer: Peek, link: str, limits: Limits) -> str:
    """Return why the service could not use what a link leads to, in words; empty if it can. Pure."""
    if answer.status not in (200, 206):
        words = _NOT_THERE.get(answer.status, f"answers HTTP {answer.status}")
        said = _SAID.search(answer.head)
        text = printable((said[1] or said[2]).decode("utf-8", "replace")) if said else ""
        return words + (f"; the host says: {text}" if text else "")
    kind = kind_of(answer.head)
    if not kind and (answer.media_type == "text/html" or _is_page(answer.head)):
        page = "a login page" if _LOGIN.search(answer.head) else "a web page"
        where = f" at {urlsplit(answer.url).hostname}" if answer.url != link else ""
        return f"leads to {page}{where}, not to a picture"
    if not answer.head:
        return "leads to an empty file"
    if kind not in limits.formats:
        shown = kind.replace("WEBP", "WebP")
        what = f"{'an' if kind[0] in 'AEIO' else 'a'} {shown} file" if kind else "no picture"
        begins = "" if kind else f" (it begins with {answer.head[:8]!r})"
        return f"leads to {what}{begins}; the service takes {', '.join(limits.formats)}"
    if answer.size is not None and answer.size > limits.max_bytes:
        return f"has {answer.size} bytes; at most {limits.max_bytes} are accepted"
    size = stated_size(answer.head, kind)
    words = limit_problem(*size, limits) if size else ""
    return f"is {words}" if words else ""


def _is_page(head: bytes) -> bool:
    return head.lstrip(_BEFORE_PAGES)[:20].lower().startswith(_PAGE)


def refusal(problems: Mapping[str, str], links: Sequence[str], next_step: str) -> CartoonizeError:
    """Return the error that names every link with a problem by its place."""
    rows = [f"image {n}: {shown_name(link)} {problems[link]}." for n, link in enumerate(links, 1) if link in problems]
    return InputError("\n".join(rows) + f" Nothing was sent, nothing was charged. {next_step}")


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
