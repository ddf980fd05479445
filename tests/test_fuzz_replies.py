"""Fuzzing what is read from outside as text or JSON: replies, reports, task lines, links, templates, the redactor.

Whatever it is, it is understood, or refused with the error that the reader promises, in a text that can be shown.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from cartoonize_pack.utils.contract import (
    TASK_ID,
    ImageResult,
    Task,
    TaskStatus,
    check_link,
    check_task_id,
    parse_created,
    parse_task,
)
from cartoonize_pack.utils.errors import InputError, ServiceError
from cartoonize_pack.utils.hosting.template import Reply, Template, TemplateError, at_pointer
from cartoonize_pack.utils.http_errors import NOT_ACCEPTED, error_of, retry_after_s
from cartoonize_pack.utils.links import expiry_of, names_of
from cartoonize_pack.utils.redaction import redact, without_query
from cartoonize_pack.utils.references import TaskRef, lines, parse_references
from cartoonize_pack.utils.report import read_report
from cartoonize_pack.utils.rows import answer_text, task_of
from fuzzing import (
    altered,
    edited,
    is_readable,
    json_keys,
    json_leaves,
    json_values,
    kept,
    long_texts,
    texts,
    told,
    tries,
    unless,
    urlish,
)
from hypothesis import assume, example, given
from hypothesis import strategies as st

TASK = "6a4eab77-be30-430a-bf0e-3048042a34ef"
QUICK_S = 0.5  # of the processor, for 20,000 characters that linear patterns read in milliseconds

CREATED = {"code": 0, "msg": "", "data": {"task_id": TASK}}
FINISHED = {
    "code": 0,
    "msg": "ok",
    "data": {
        "status": "3",
        "wait_time": "0",
        "list": [
            {"image_result": "https://r.example/0.png?sig=hunter2", "status": "3", "reason": ""},
            {"image_result": "", "status": "4", "reason": "人脸 not found"},
            {"image_result": None, "status": 490027},
        ],
    },
}
RUNNING = {"code": 0, "msg": None, "data": {"status": 2, "wait_time": 12.5, "list": None}}
REFUSED = {"code": 400123, "msg": "wrong priority", "data": None}
REPORT = {
    "profile": "env",
    "tasks": [TASK, "t2@2,3"],
    "results": 2,
    "failed": 1,
    "images": [
        {"index": 0, "link": "https://p.example/0.png", "may_retry": False, "width": 6, "height": 4},
        {"index": 1, "link": "", "may_retry": True, "width": None, "height": None},
    ],
}
ANSWER = {
    "status": 3,
    "message": "",
    "images": [
        {"url": "https://r.example/0.png", "status": 3, "reason": ""},
        {"url": None, "status": None, "reason": "too dark"},
    ],
}
REPLIES = [json.dumps(reply, ensure_ascii=False).encode() for reply in (CREATED, FINISHED, RUNNING, REFUSED)]
PAGES = [b"<html><h1>502 Bad Gateway</h1></html>", b"", b"null", "\ufeff{}".encode(), '{"code": 0}'.encode("utf-16")]
STATUSES = [*NOT_ACCEPTED, 100, 204, 302, 303, 408, 409, 418, 500, 502, 503, 504, 599]


# --- what holds for every reply and every text ------------------------------------------------------------------------


def check_reply(reply: bytes) -> None:
    """Every reader of a reply understands it, or refuses it as it promises."""
    created = unless(ServiceError, lambda: parse_created(reply))
    assert created is None or TASK_ID.fullmatch(created)
    task = unless(ServiceError, lambda: parse_task(reply, TASK))
    if task is not None:
        check_task(task)
    for method, status in (("POST", 400), ("POST", 503), ("GET", 404), ("GET", 500)):
        check_refusal(status, {}, reply, method)
    for part in ("text", "json:/data/task_id", "json:/data/list/0/image_result", "json:", "json:/data/list/01"):
        with suppress(TemplateError):
            assert isinstance(Template(f"{{{part}}}").filled({}, Reply(reply, {})), str)
    text = reply.decode("utf-8", "replace")
    check_report(text)
    check_answer(text)


def check_task(task: Task) -> None:
    """A parsed task is of the types it claims, and the journal gives back what it was given."""
    assert task.task_id == TASK
    assert type(task.status_code) is int
    assert task.status is TaskStatus.of(task.status_code)
    assert task.wait_time_s is None or (math.isfinite(task.wait_time_s) and task.wait_time_s >= 0)
    assert is_readable(task.message)
    assert is_readable(task.status_words)
    for image in task.images:
        assert image.url is None or (isinstance(image.url, str) and image.url)
        assert image.status is None or isinstance(image.status, TaskStatus)
        assert is_readable(image.reason)
    check_kept(task)


def check_kept(task: Task) -> None:
    """What the journal gives back is the answer without signatures, and keeping it again changes nothing more."""
    found = task_of(task.task_id, answer_text(task))
    assert (found.task_id, found.status, found.status_code) == (task.task_id, task.status, task.status_code)
    assert found.message == redact(task.message)
    assert [(i.status, i.is_done) for i in found.images] == [(i.status, i.is_done) for i in task.images]
    assert [i.url for i in found.images] == [i.url and without_query(i.url) for i in task.images]
    assert task_of(found.task_id, answer_text(found)) == found


def check_refusal(status: int, headers: dict[str, str], reply: bytes, method: str) -> None:
    """A status becomes a sentence that says how it may go on, and what was certainly not charged."""
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    error = error_of(response, reply, method, "studio")
    assert isinstance(error, ServiceError)
    text = told(error)
    assert str(status) in text
    assert ("nothing was charged" in text) == (method == "POST" and error.is_refusal)
    wait_s = getattr(error, "retry_after_s", None)
    assert wait_s is None or (math.isfinite(wait_s) and wait_s >= 0)


def check_report(text: str) -> None:
    """A report is one, of as many links as images, or is refused."""
    retry = unless(InputError, lambda: read_report(text))
    if retry is not None:
        assert retry.tasks
        assert all(isinstance(link, str) for link in retry.links)
        assert all(1 <= number <= retry.images for number in retry.failed)


def check_answer(text: str) -> None:
    """What the journal holds is an answer, or the error of a damaged file."""
    with suppress(sqlite3.DatabaseError):
        check_kept(task_of(TASK, text))


def check_text(text: str) -> None:
    """Every reader of a text understands it, or refuses it as it promises, and in no time."""
    begin_s = time.thread_time()
    redacted = redact(text)
    assert redact(redacted) == redacted
    unless(InputError, lambda: check_link(text))
    unless(InputError, lambda: check_task_id(text))
    names = names_of(text)
    assert names[0] == text
    assert len(names) <= 2
    ends_s = expiry_of(text)
    assert ends_s is None or math.isfinite(ends_s)
    wait_s = retry_after_s(text, 0.0)
    assert wait_s is None or (math.isfinite(wait_s) and wait_s >= 0)
    refs = unless(InputError, lambda: parse_references(lines(text)))
    assert refs is None or [str(ref) for ref in refs] == lines(text)
    check_report(text)
    check_answer(text)
    with suppress(TemplateError):
        Template(text).filled({"name": "n"}, Reply(b'{"a": [1]}', {"location": "/x"}))
    assert time.thread_time() - begin_s < QUICK_S


@pytest.mark.parametrize("path", kept("replies", "reply"))
def test_kept_replies_are_understood_or_refused(path: Path) -> None:
    """Cases that were found once, or are known to break readers."""
    check_reply(path.read_bytes())


@pytest.mark.parametrize("path", kept("replies", "text"))
def test_kept_texts_are_understood_or_refused(path: Path) -> None:
    """Links, headers, task lines, templates; JSON strings, as some are no UTF-8, or a text and how often it repeats."""
    found = json.loads(path.read_text("utf-8"))
    check_text(found if isinstance(found, str) else found[0] * found[1])


@pytest.mark.parametrize("path", kept("replies", "secret"))
def test_kept_secrets_do_not_pass_the_redactor(path: Path) -> None:
    """Texts that each hide the secret in another way."""
    text = json.loads(path.read_text("utf-8"))
    assert "hunter2" in text
    shown = redact(text)
    assert "hunter2" not in shown
    assert redact(shown) == shown


# --- replies ----------------------------------------------------------------------------------------------------------


@given(reply=json_values)
@tries(25)
def test_any_json_is_understood_or_refused(reply: object) -> None:
    """As a whole answer, and as the data of an accepted one."""
    check_reply(json.dumps(reply).encode())
    check_reply(json.dumps({"code": 0, "data": reply}).encode())


@given(reply=st.sampled_from([CREATED, FINISHED, RUNNING, REFUSED, ANSWER]).flatmap(altered))
@tries(25)
def test_real_replies_with_other_parts_are_understood_or_refused(reply: object) -> None:
    """A field of another type, a field that is missing."""
    check_reply(json.dumps(reply).encode())


@given(reply=st.binary(max_size=60) | edited([*REPLIES, *PAGES]))
@tries(40)
def test_damaged_replies_are_understood_or_refused(reply: bytes) -> None:
    """Cut short, of another encoding, a page of a proxy."""
    check_reply(reply)


def deepest() -> int:
    """How many lists within lists the JSON reader takes from here."""
    low, high = 1, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            json.loads("[" * middle + "]" * middle)
            low = middle
        except RecursionError:
            high = middle
    return low


@pytest.mark.parametrize(
    "frame",
    [b"%s", b'{"code":%s}', b'{"code":7,"msg":%s}', b'{"code":0,"data":%s}', b'{"code":0,"data":{"status":%s}}',
     b'{"code":0,"data":{"status":3,"list":[%s]}}', b'{"code":0,"data":{"status":3,"list":[{"reason":%s}]}}'],
    ids=["answer", "code", "msg", "data", "status", "image", "reason"],
)  # fmt: skip
def test_deeply_nested_replies_are_refused(frame: bytes) -> None:
    """At whatever depth it is given up: by the JSON reader, or by what shows the value afterwards."""
    most = deepest()
    for depth in [*range(most - 20, most + 3), most * 3]:
        reply = frame % (b"[" * depth + b"]" * depth)
        with suppress(ServiceError):
            parse_task(reply, TASK)
        with suppress(ServiceError):
            parse_created(reply)


@given(reply=st.sampled_from([*REPLIES, *PAGES]) | json_values.map(lambda value: json.dumps(value).encode()),
       status=st.sampled_from(STATUSES) | st.integers(100, 999), method=st.sampled_from(["GET", "POST"]),
       headers=st.dictionaries(st.sampled_from(["Retry-After", "retry-after", "Location"]), texts))  # fmt: skip
@tries(40)
def test_any_error_answer_becomes_a_sentence(reply: bytes, status: int, method: str, headers: dict[str, str]) -> None:
    """Whatever the body and the headers hold."""
    check_refusal(status, headers, reply, method)


DATES = [
    format_datetime(datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc), usegmt=True).encode(),
    b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994",
    b"Fri, 31 Dec 9999 23:59:59 -0000",
    b"120",
]


@given(header=edited(DATES).map(lambda header: header.decode("latin-1")))
@tries(60)
def test_any_retry_after_is_seconds_or_nothing(header: str) -> None:
    """Headers arrive as Latin-1."""
    wait_s = retry_after_s(header, 0.0)
    assert wait_s is None or (math.isfinite(wait_s) and wait_s >= 0)


# --- reports, task lines, the journal ---------------------------------------------------------------------------------


@given(report=altered(REPORT))
@tries(30)
def test_a_report_with_other_parts_is_read_or_refused(report: object) -> None:
    """People edit and merge them."""
    check_report(json.dumps(report))


@given(report=json_values.map(json.dumps) | edited([json.dumps(REPORT).encode()]).map(lambda r: r.decode("latin-1")))
@tries(30)
def test_anything_else_is_no_report(report: str) -> None:
    """Whatever a text input may hold."""
    check_report(report)


ids = st.from_regex(TASK_ID, fullmatch=True)
places = st.lists(st.integers(1, 999_999), max_size=5).map(tuple)


@given(refs=st.lists(st.builds(TaskRef, ids, places), min_size=1, max_size=5))
@tries(15)
def test_tasks_are_read_as_they_were_written(refs: list[TaskRef]) -> None:
    """Whatever the id, however many places."""
    assert parse_references(lines("\n".join(map(str, refs)))) == refs


@given(text=texts | st.builds("{}@{}".format, ids, texts | st.text("0123456789,@ ")))
@tries(40)
def test_any_line_is_a_task_or_refused(text: str) -> None:
    """And what is taken is written again as it was."""
    refs = unless(InputError, lambda: parse_references([text]))
    assert refs is None or [str(ref) for ref in refs] == [text]


statuses = st.sampled_from(TaskStatus)
images = st.builds(ImageResult, st.none() | urlish.filter(bool), st.none() | statuses, texts)


@given(code=st.integers(-(10**18), 10**18), pictures=st.lists(images, max_size=4).map(tuple), message=texts | urlish)
@tries(25)
def test_the_journal_gives_back_what_it_was_given(code: int, pictures: tuple[ImageResult, ...], message: str) -> None:
    """All but what must not be kept."""
    check_kept(Task(TASK, TaskStatus.of(code), code, None, pictures, message))


@given(answer=altered(ANSWER) | json_values)
@tries(30)
def test_a_damaged_answer_in_the_journal_is_told_as_damage(answer: object) -> None:
    """It is no answer of another type."""
    check_answer(json.dumps(answer))


# --- templates --------------------------------------------------------------------------------------------------------

_parts = st.sampled_from(
    ["{name}", "{link}", "{text}", "{json:/data/0}", "{json:/a~1b}", "{json:}", "{header:X-Token}", "{json:/\n}",
     "{json:/99999999999}", "{json:/" + "9" * 5000 + "}", "{{", "}}", "{", "}", "{}", "{x}", "https://h.example/"]
)  # fmt: skip


@given(
    text=st.lists(_parts | texts, max_size=6).map("".join),
    body=st.binary(max_size=20) | json_values.map(lambda value: json.dumps({"data": [value], "a/b": value}).encode()),
    headers=st.dictionaries(st.just("x-token"), texts),
)
@tries(40)
def test_any_template_is_filled_or_says_what_is_wrong(text: str, body: bytes, headers: dict[str, str]) -> None:
    """With a TemplateError, whatever the configuration and the host say."""
    with suppress(TemplateError):
        template = Template(text)
        assert isinstance(template.filled({"name": "n"}, Reply(body, headers)), str)
        assert isinstance(template.filled(dict.fromkeys(template.parts, "x")), str)


@given(text=texts)
@tries(30)
def test_a_text_with_doubled_braces_is_itself(text: str) -> None:
    """So every text can be said."""
    assert Template(text.replace("{", "{{").replace("}", "}}")).filled({}) == text


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Every part of a JSON value, with its pointer as RFC 6901 has it."""
    yield pointer, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from leaves(part, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


@given(value=json_values)
@tries(20)
def test_a_pointer_finds_every_part(value: Any) -> None:
    """Whatever its keys are."""
    for pointer, part in leaves(value):
        assert at_pointer(value, pointer) is part


@given(value=json_values, pointer=st.lists(json_keys | texts | st.text("0123456789"), max_size=4).map("/".join))
@example([1], "/" + "9" * 5000)
@tries(30)
def test_a_pointer_to_nothing_says_so(value: Any, pointer: str) -> None:
    """As its reader promises, with KeyError or IndexError."""
    with suppress(KeyError, IndexError):
        at_pointer(value, pointer)


# --- links and the redactor -------------------------------------------------------------------------------------------


@given(text=urlish | json_leaves.map(str))
@tries(80)
def test_any_text_in_the_place_of_a_link_is_understood_or_refused(text: str) -> None:
    """Pasted, or of a reply."""
    check_text(text)


@given(text=long_texts)
@tries(12)
def test_no_long_text_takes_long(text: str) -> None:
    """A service or a user may send any; no pattern goes back and forth in it."""
    check_text(text)


@given(data=st.data(), secret=st.from_regex(r"hunter2[A-Za-z0-9._~!$&()*+,;=%-]{0,12}", fullmatch=True))
@tries(60)
def test_no_secret_of_a_link_passes_the_redactor(data: st.DataObject, secret: str) -> None:
    """In the query, the fragment or before the host, whatever stands around and elsewhere in the link."""
    before = data.draw(texts | st.sampled_from(["", "'", "(", "url=", "错误", "1", "_", "é", "Basic ", "https://"]))
    scheme = data.draw(st.sampled_from(["https://", "http://", "HTTPS://", "s3://", "ftp://"]))
    host = data.draw(st.sampled_from(["h.example", "h.example:8443", "127.0.0.1", "[::1]:80", "bücher.example"]))
    path = data.draw(st.lists(st.sampled_from(["/a.png", "/@me", "/a@b", "/", "/:x@y", "/é", "//"]), max_size=3))
    place = data.draw(st.sampled_from(["query", "value", "fragment", "password", "user", "user and password"]))
    query = data.draw(st.sampled_from(["", "?x=1", "?x=1&y='2'"]))
    userinfo, end = "", query
    if place == "query":
        end = f"?{secret}"
    elif place == "value":
        end = f"{query or '?x'}&sig={secret}{data.draw(st.sampled_from(['', '&y=2', '#top']))}"
    elif place == "fragment":
        end = f"{query}#{secret}"
    else:
        user = data.draw(st.sampled_from(["me", "me@mail.example", ""]))
        userinfo = {"password": f"{user}:{secret}@", "user": f"{secret}@"}.get(place, f"{secret}:{secret}@")
    after = data.draw(st.sampled_from(["", " and more", "\n", '"', ">", "' failed"]))
    assume("hunter2" not in before)
    shown = redact(f"{before}{scheme}{userinfo}{host}{''.join(path)}{end}{after}")
    assert "hunter2" not in shown
    assert redact(shown) == shown
    assert host in shown or (userinfo and "@" in "".join(path))  # where the host begins is not certain then


@given(secret=st.from_regex(r"[A-Za-z0-9+/=._~-]{8,40}", fullmatch=True), before=texts, scheme=st.sampled_from(
    ["Basic ", "Bearer ", "basic\t", "BEARER  "]))  # fmt: skip
@tries(25)
def test_no_authorization_passes_the_redactor(secret: str, before: str, scheme: str) -> None:
    """Whatever stands in front of it."""
    assume(secret not in before)
    shown = redact(f"{before} {scheme}{secret}")
    assert secret not in shown.removeprefix(before)
    assert redact(shown) == shown
