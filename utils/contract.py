"""The API as types: limits, request building and reply parsing, all pure.

Source of every rule: the published document "Portrait Cartoonization 2-API Integration". Where it leaves a point
open, the parser is strict about types, names the field and the value, and never guesses.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from .errors import ContractError, InputError, ServiceError
from .redaction import redact

TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,199}")
LONGEST_LINK = 8192
MOST_RESULTS = 1000  # in one answer; a task has 20 images
_TOKEN = re.compile(r"(?=.*[0-9])[A-Za-z0-9+/_=-]{16,}")


@dataclass(frozen=True)
class Limits:
    """What the service accepts; sides are inclusive pixels, `max_aspect` is long side / short side."""

    max_images: int = 20
    min_priority: int = 0
    max_priority: int = 9
    max_bytes: int = 50_000_000  # "50 MB" in its strictest reading
    min_side: int = 257  # "greater than 256"
    max_side: int = 4999  # "less than 5000"
    max_aspect: float = 4.0
    formats: tuple[str, ...] = ("PNG", "JPEG", "BMP")


class TaskStatus(enum.IntEnum):
    """The documented states of a task; pictures of a task use the same codes."""

    WAITING = 1
    IN_PROGRESS = 2
    COMPLETE = 3
    FAILED = 4
    CLOSED = 5
    TIMED_OUT = 6

    @classmethod
    def of(cls, code: int) -> TaskStatus:
        """Return the state of a code: sister APIs of the vendor know further ones, all final, which count as failed.

        Waiting for ever on one of them would be worse than stopping.
        """
        return cls(code) if code in cls._value2member_map_ else cls.FAILED

    @property
    def is_final(self) -> bool:
        """Whether the task will never change again."""
        return self not in (TaskStatus.WAITING, TaskStatus.IN_PROGRESS)

    @property
    def words(self) -> str:
        """The state as a person says it."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class ImageResult:
    """What the service says of one picture; `url` is None while there is no result."""

    url: str | None
    status: TaskStatus | None
    reason: str

    @property
    def is_done(self) -> bool:
        """Whether there is a result: a link, and a status that is complete or left out."""
        return self.url is not None and self.status in (None, TaskStatus.COMPLETE)


@dataclass(frozen=True)
class Task:
    """One answer about a task. An unlisted status counts as FAILED; `status_code` keeps the number."""

    task_id: str
    status: TaskStatus
    status_code: int
    wait_time_s: float | None
    images: tuple[ImageResult, ...]
    message: str = ""

    @property
    def status_words(self) -> str:
        """The state as a person says it, naming the number of an unlisted one."""
        if self.status_code == self.status:
            return self.status.words
        return f"undocumented status {self.status_code}"


def check_link(link: str) -> str:
    """Return a link that the service could download; raises InputError naming what is wrong with it."""
    try:
        parts = urlsplit(link)
        host, userinfo, _ = parts.hostname, parts.username or parts.password, parts.port
    except ValueError:
        msg = f"Not a usable link: {_shown(link)}: its host or port cannot be read."
        raise InputError(msg) from None  # the library's text quotes the link, which may hold a password
    problem = ""
    if parts.scheme not in ("http", "https") or not host:
        problem = "a link must start with http:// or https:// and name a host"
    elif userinfo:
        problem = "a link must not hold a user name or password"
    elif len(link) > LONGEST_LINK:
        problem = f"it has {len(link)} characters, at most {LONGEST_LINK} are sent"
    elif any(c.isspace() or not c.isprintable() for c in link):
        problem = "it holds spaces or control characters"
    if problem:
        msg = f"Not a usable link: {_quoted(link)}: {problem}."
        raise InputError(msg)
    return link


def check_task_id(task_id: str) -> str:
    """Return a task id that is safe inside an address; raises InputError naming it otherwise."""
    if not TASK_ID.fullmatch(task_id):
        msg = f"Not a task id: {_quoted(task_id)}. Connect Submit Cartoonize, or paste the id that it showed."
        raise InputError(msg)
    return task_id


def build_request(
    links: Sequence[str], priority: int, limits: Limits, *, with_priority: bool = True
) -> dict[str, object]:
    """Return the JSON body that creates a task; raises InputError naming the value and the limit."""
    if not 1 <= len(links) <= limits.max_images:
        msg = f"A task takes 1 to {limits.max_images} images, but {len(links)} links were given."
        raise InputError(msg)
    low, high = limits.min_priority, limits.max_priority
    if isinstance(priority, bool) or not isinstance(priority, int) or not low <= priority <= high:
        msg = f"priority must be a whole number from {low} to {high}, not {priority!r}."
        raise InputError(msg)
    body: dict[str, object] = {"images": [check_link(link) for link in links]}
    if with_priority:
        body["priority"] = priority
    return body


def parse_created(reply: bytes) -> str:
    """Return the task id of a create reply; raises ServiceError for a refusal, ContractError for nonsense."""
    data = _object(_accepted(reply), "data")
    task_id = data.get("task_id")
    if not isinstance(task_id, str) or not TASK_ID.fullmatch(task_id):
        _break("data.task_id", task_id, "a task id")
    return task_id


def parse_task(reply: bytes, task_id: str) -> Task:
    """Return the state in a result reply; raises ServiceError for a refusal, ContractError for nonsense."""
    answer = _accepted(reply)
    data = _object(answer, "data")
    code = _integer(data.get("status"), "data.status")
    items = data.get("list")
    if items is None:
        items = []
    if not isinstance(items, list):
        _break("data.list", items, "a list")
    if len(items) > MOST_RESULTS:
        _break("the length of data.list", len(items), f"at most {MOST_RESULTS}")
    return Task(
        task_id=task_id,
        status=TaskStatus.of(code),
        status_code=code,
        wait_time_s=_seconds(data.get("wait_time"), "data.wait_time"),
        images=tuple(_image(item, f"data.list[{i}]") for i, item in enumerate(items)),
        message=_text(answer.get("msg")),
    )


def _image(item: object, field: str) -> ImageResult:
    if not isinstance(item, Mapping):
        _break(field, item, "an object")
    url, code = item.get("image_result"), item.get("status")
    if url is not None and not isinstance(url, str):
        _break(f"{field}.image_result", url, "a link")
    number = None if code in (None, "") else _integer(code, f"{field}.status")
    reason = _text(item.get("reason"))
    if number is not None and number not in TaskStatus._value2member_map_:
        reason = reason or f"undocumented status {number}"
    return ImageResult(url or None, None if number is None else TaskStatus.of(number), reason)


def _accepted(reply: bytes) -> Mapping[str, object]:
    """Return the outer object of a reply whose code is 0."""
    try:
        answer = json.loads(reply)
    except (ValueError, RecursionError):
        msg = f"The service's answer is not JSON: {_shown(reply.decode('utf-8', 'replace'))}"
        raise ContractError(msg) from None  # the cause holds the whole answer
    if not isinstance(answer, Mapping):
        _break("the answer", answer, "an object")
    code = _integer(answer.get("code"), "code")
    if code != 0:
        msg = f"The service refused with code {code}: {_text(answer.get('msg')) or 'no message'}"
        raise ServiceError(msg, code=code, is_refusal=True)
    return answer


def _object(answer: Mapping[str, object], field: str) -> Mapping[str, object]:
    value = answer.get(field)
    if not isinstance(value, Mapping):
        _break(field, value, "an object")
    return value


def _integer(value: object, field: str) -> int:
    """Accept 3, 3.0, "3": the document types numbers as strings, and services send both."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**18:
        return int(value)
    _break(field, value, "a whole number")


def _seconds(value: object, field: str) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool) and "_" not in str(value):
        try:
            seconds = float(value)
        except (ValueError, OverflowError):
            seconds = math.nan
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    _break(field, value, "seconds")


def printable(text: str) -> str:
    """Return the text without what could steer a terminal or break a report: control characters, half surrogates."""
    return "".join(c if c.isprintable() else " " for c in text.encode("utf-8", "replace").decode())


def shown(name: object) -> str:
    """Return a name from a workflow for an error text, cut where it gets long."""
    return printable(str(name))[:60]


def _text(value: object) -> str:
    return "" if value is None else printable(str(value)[:500])


def _break(field: str, value: object, expected: str) -> NoReturn:
    msg = f"The service's answer breaks the API document: {field} should be {expected}, not {_shown(value)}."
    raise ContractError(msg)


def _quoted(text: str) -> str:
    """Return what somebody has typed or pasted for an error, unless it may be a key in the wrong place."""
    return f"a text of {len(text)} characters, perhaps a key" if _TOKEN.fullmatch(text) else _shown(text)


def _shown(value: object, longest: int = 80) -> str:
    text = redact(repr(value)[:2000])
    return text if len(text) <= longest else text[:longest] + "…"
