"""The API as types: limits, requests and replies, with tables of what a service may send and what it must not."""

from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError

import pytest
from cartoonize_pack.utils.contract import (
    LONGEST_LINK,
    ImageResult,
    Limits,
    Task,
    TaskStatus,
    build_request,
    check_link,
    check_task_id,
    parse_created,
    parse_task,
)
from cartoonize_pack.utils.errors import ContractError, InputError, ServiceError

LINK = "https://pictures.example/face.png"
TASK = "6a4eab77-be30-430a-bf0e-3048042a34ef"


def reply(data: object, **outer: object) -> bytes:
    """An accepted answer as it travels."""
    return json.dumps({"code": 0, "msg": "", "data": data, **outer}).encode()


def task(**data: object) -> Task:
    """The parsed answer about a task; `status` is 3 unless told."""
    return parse_task(reply({"status": 3, **data}), TASK)


def one_image(**item: object) -> ImageResult:
    """The parsed single picture of a task."""
    (image,) = task(list=[item]).images
    return image


# Limits


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_images", 20),
        ("min_priority", 0),
        ("max_priority", 9),
        ("max_bytes", 50_000_000),
        ("min_side", 257),
        ("max_side", 4999),
        ("max_aspect", 4.0),
        ("formats", ("PNG", "JPEG", "BMP")),
    ],
)
def test_each_default_limit_is_the_documented_one(name: str, value: object) -> None:
    """Sides are strict in the document (more than 256, less than 5000), bytes in their strictest reading."""
    assert getattr(Limits(), name) == value


def test_limits_are_data_that_never_change() -> None:
    """Other limits are another value, not a changed one."""
    limits = Limits()
    with pytest.raises(FrozenInstanceError):
        limits.max_images = 21
    assert Limits(max_images=21) != limits
    assert Limits() == limits


# States


@pytest.mark.parametrize(
    ("code", "status", "is_final", "words"),
    [
        (1, TaskStatus.WAITING, False, "waiting"),
        (2, TaskStatus.IN_PROGRESS, False, "in progress"),
        (3, TaskStatus.COMPLETE, True, "complete"),
        (4, TaskStatus.FAILED, True, "failed"),
        (5, TaskStatus.CLOSED, True, "closed"),
        (6, TaskStatus.TIMED_OUT, True, "timed out"),
    ],
)
@pytest.mark.parametrize("kind", [str, int, float])
def test_every_documented_state_is_understood_as_string_and_as_number(
    code: int, status: TaskStatus, is_final: bool, words: str, kind: type
) -> None:
    """The document types the status as a string; services send both."""
    found = task(status=f"{code}" if kind is str else kind(code))
    assert found.status is status
    assert found.status_code == code
    assert found.status.is_final is is_final
    assert found.status_words == words


@pytest.mark.parametrize("code", [0, 7, 8, -1, 490027])
@pytest.mark.parametrize("kind", [str, int])
def test_an_unlisted_state_is_final_and_failed_and_named(code: int, kind: type) -> None:
    """Waiting for ever on a code that nobody documented would be worse than stopping."""
    found = task(status=kind(code))
    assert found.status is TaskStatus.FAILED
    assert found.status.is_final
    assert found.status_code == code
    assert str(code) in found.status_words
    assert "undocumented" in found.status_words


# Requests


@pytest.mark.parametrize("count", [1, 2, 20])
def test_a_request_holds_the_links_in_order_and_the_priority(count: int) -> None:
    """1 to 20 links, both fields required."""
    links = [f"{LINK}?n={i}" for i in range(count)]
    assert build_request(links, 1, Limits()) == {"images": links, "priority": 1}


@pytest.mark.parametrize("count", [0, 21, 1000])
def test_too_few_or_too_many_links_are_refused_naming_both_numbers(count: int) -> None:
    """The message names how many there are and how many are allowed."""
    with pytest.raises(InputError, match=rf"1 to 20\b.*\b{count}\b"):
        build_request([LINK] * count, 1, Limits())


@pytest.mark.parametrize("priority", [0, 1, 9])
def test_a_priority_inside_the_limits_is_sent_as_it_is(priority: int) -> None:
    """0 and 9 belong to the range."""
    assert build_request([LINK], priority, Limits())["priority"] == priority


@pytest.mark.parametrize("priority", [-1, 10, True, False, "5", 1.5, 1.0, None], ids=repr)
def test_any_other_priority_is_refused_naming_value_and_limits(priority: object) -> None:
    """A wrong type is not turned into a number behind the user's back."""
    with pytest.raises(InputError, match=rf"priority .*0 to 9.*{re.escape(repr(priority))}"):
        build_request([LINK], priority, Limits())


def test_a_service_that_knows_no_priority_gets_none() -> None:
    """Sister services are reported to refuse the field."""
    assert build_request([LINK], 1, Limits(), with_priority=False) == {"images": [LINK]}


def test_a_priority_that_is_not_sent_is_checked_all_the_same() -> None:
    """A graph does not become valid by choosing another profile."""
    with pytest.raises(InputError, match="priority"):
        build_request([LINK], 10, Limits(), with_priority=False)


def test_the_limits_of_the_profile_are_the_ones_that_count() -> None:
    """Limits are data of a profile, not constants."""
    limits = Limits(max_images=2, min_priority=3, max_priority=4)
    assert build_request([LINK] * 2, 3, limits)
    with pytest.raises(InputError, match="1 to 2 images, but 3"):
        build_request([LINK] * 3, 3, limits)
    with pytest.raises(InputError, match="from 3 to 4, not 5"):
        build_request([LINK], 5, limits)


def test_one_bad_link_among_good_ones_refuses_the_request_and_is_named() -> None:
    """Nothing is sent in part."""
    with pytest.raises(InputError, match="ftp://pictures.example/b"):
        build_request([LINK, "ftp://pictures.example/b", LINK], 1, Limits())


@pytest.mark.parametrize(
    "link",
    [
        "https://pictures.example/face.png",
        "http://pictures.example/face.png",
        "HTTPS://Pictures.example/face.png",
        "https://pictures.example:8443/a/b.png?token=x&n=1#top",
        "http://192.168.1.7:8188/view",
        "http://[::1]:8188/view",
        "https://pictures.example/gesicht-ä.png",
        "https://pictures.example/a%20b.png",
        "https://pictures.example/@me/face.png",
        "https://pictures.example",
    ],
)
def test_an_ordinary_link_passes_unchanged(link: str) -> None:
    """What the service could download is never rewritten."""
    assert check_link(link) == link


def test_the_longest_link_passes_and_one_character_more_does_not() -> None:
    """The message names both lengths."""
    longest = "https://p.example/".ljust(LONGEST_LINK, "x")
    assert check_link(longest) == longest
    with pytest.raises(InputError, match=f"{LONGEST_LINK + 1} characters, at most {LONGEST_LINK}"):
        check_link(longest + "x")


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("ftp://p.example/a.png", "must start with http"),
        ("file:///etc/passwd", "must start with http"),
        ("data:image/png;base64,AAAA", "must start with http"),
        ("javascript:alert(1)", "must start with http"),
        ("//p.example/a.png", "must start with http"),
        ("p.example/a.png", "must start with http"),
        ("face.png", "must start with http"),
        ("C:\\faces\\a.png", "must start with http"),
        ("", "must start with http"),
        ("https://", "name a host"),
        ("https:///a.png", "name a host"),
        ("https://?a=1", "name a host"),
        ("https://:443/a.png", "name a host"),
        ("https:/p.example/a.png", "name a host"),
        ("https://me@p.example/a.png", "user name or password"),
        ("https://me:word@p.example/a.png", "user name or password"),
        ("https://:word@p.example/a.png", "user name or password"),
        ("https://p.example\\@evil.example/", "user name or password"),
        ("https://p.example/a b.png", "spaces or control"),
        (" https://p.example/a.png", "spaces or control"),
        ("https://p.example/a.png ", "spaces or control"),
        ("https://p.example/a\u00a0b.png", "spaces or control"),
        ("https://p.example/a.png\n", "spaces or control"),
        ("https://p.example/a\r\nX-Evil: 1", "spaces or control"),
        ("https://p.example/a\tb.png", "spaces or control"),
        ("https://p.example/\x00", "spaces or control"),
        ("https://p.example/\x7f", "spaces or control"),
        ("https://p.example/\u202egnp.exe", "spaces or control"),
        ("https://p.example/\u200b", "spaces or control"),
        ("https://p.example/\ud800", "spaces or control"),
        ("https://p.example:99999/a.png", "[Pp]ort"),
        ("https://p.example:-1/a.png", "[Pp]ort"),
        ("https://p.example:web/a.png", "[Pp]ort"),
        ("https://[::1/a.png", "cannot be read"),
    ],
    ids=ascii,
)
def test_a_link_that_cannot_be_downloaded_is_refused_saying_why(link: str, problem: str) -> None:
    """Every refusal names the problem and shows the link as text that can be printed."""
    with pytest.raises(InputError, match=problem) as caught:
        check_link(link)
    shown = str(caught.value)
    assert "Not a usable link" in shown
    assert shown.isprintable()


@pytest.mark.parametrize(
    "link",
    [
        "https://me:hunter2@p.example/a.png",
        "https://me:hunter2" + "x" * 100 + "@p.example/a.png",
        "https://me:hun/ter2hunter2@p.example/a.png",
        "https://p.example:99999/a.png?signature=hunter2",
        "ftp://p.example/?https://p.example/?signature=hunter2",
    ],
    ids=["short", "longer than what is shown", "with a slash", "in a query", "in a query of another scheme"],
)
def test_a_refused_link_does_not_show_its_secrets(link: str) -> None:
    """A password or a signature pasted by mistake stays off the screen, however the text is cut."""
    with pytest.raises(InputError) as caught:
        check_link(link)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("task_id", [TASK, "1", "a" * 200, "A.b_c:d~e-f", "2023-12-01T17:45", "a..b"])
def test_a_plain_task_id_passes_unchanged(task_id: str) -> None:
    """The vendor's ids are UUIDs; others may be any short word that is safe in an address."""
    assert check_task_id(task_id) == task_id
    assert parse_created(reply({"task_id": task_id})) == task_id


HOSTILE_IDS = [
    "",
    ".",
    "..",
    "../admin",
    "a/b",
    "a\\b",
    "a?b=c",
    "a#b",
    "a%2fb",
    "a b",
    " a",
    "a\n",
    "a\r\nb",
    "a\x00",
    "-a",
    "{task_id}",
    "ä",
    "٣",
    "a" * 201,
]


@pytest.mark.parametrize("task_id", HOSTILE_IDS, ids=ascii)
def test_a_task_id_that_could_change_the_address_is_refused(task_id: str) -> None:
    """It becomes a part of a path: slashes, dots at the start, escapes and line ends never reach it."""
    with pytest.raises(InputError, match="Not a task id") as caught:
        check_task_id(task_id)
    assert repr(task_id)[:80] in str(caught.value)


# Replies to a submission


def test_the_documented_reply_to_a_submission_is_understood() -> None:
    """The sample of the document."""
    assert parse_created(b'{"code": 0, "msg": "", "data": {"task_id": "' + TASK.encode() + b'"}}') == TASK


@pytest.mark.parametrize("code", [0, 0.0, "0", " 0 ", "00"], ids=repr)
def test_an_accepting_code_may_be_a_number_or_a_string(code: object) -> None:
    """Numbers travel as strings in this API."""
    assert parse_created(reply({"task_id": TASK}, code=code)) == TASK


def test_unknown_fields_and_missing_message_change_nothing() -> None:
    """A service may say more, or leave out what is not needed."""
    assert parse_created(b'{"code":0,"trace":[1],"data":{"task_id":"a1","more":{}}}') == "a1"
    assert parse_task(b'{"code":0,"data":{"status":1,"progress":7}}', TASK).status is TaskStatus.WAITING


@pytest.mark.parametrize("task_id", [*HOSTILE_IDS, None, 7, True, 1.5, ["a"], {"id": "a"}], ids=ascii)
def test_a_reply_with_an_unusable_task_id_names_field_and_value(task_id: object) -> None:
    """An id is text; what cannot be put into an address is a broken contract."""
    with pytest.raises(ContractError, match=r"data\.task_id should be a task id") as caught:
        parse_created(reply({"task_id": task_id}))
    assert repr(task_id)[:80] in str(caught.value)


def test_a_reply_without_a_task_id_says_so() -> None:
    """Missing is reported as missing."""
    with pytest.raises(ContractError, match=r"data\.task_id should be a task id, not None"):
        parse_created(reply({}))


# Replies about a task


def test_the_documented_reply_about_a_task_is_understood_whole() -> None:
    """Every documented field arrives in its place."""
    found = parse_task(
        reply(
            {
                "status": "3",
                "wait_time": "0",
                "list": [
                    {"image_result": "https://r.example/1.png", "status": "3", "reason": ""},
                    {"image_result": "", "status": "4", "reason": "no face found"},
                ],
            },
            msg="success",
        ),
        TASK,
    )
    assert found == Task(
        task_id=TASK,
        status=TaskStatus.COMPLETE,
        status_code=3,
        wait_time_s=0.0,
        images=(
            ImageResult("https://r.example/1.png", TaskStatus.COMPLETE, ""),
            ImageResult(None, TaskStatus.FAILED, "no face found"),
        ),
        message="success",
    )
    assert [image.is_done for image in found.images] == [True, False]


@pytest.mark.parametrize(
    ("wait_time", "seconds"),
    [(0, 0.0), (5, 5.0), (2.5, 2.5), ("0", 0.0), ("5", 5.0), ("2.5", 2.5), (" 5 ", 5.0), ("", None), (None, None)],
    ids=repr,
)
def test_wait_time_may_be_a_number_a_string_or_absent(wait_time: object, seconds: float | None) -> None:
    """The document types it as a string of seconds."""
    assert task(wait_time=wait_time).wait_time_s == seconds


def test_a_missing_wait_time_is_none() -> None:
    """Not sent and sent as null are the same."""
    assert task().wait_time_s is None


@pytest.mark.parametrize("data", [{}, {"list": None}, {"list": []}], ids=["missing", "null", "empty"])
@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 6])
def test_the_list_may_be_missing_null_or_empty_in_every_state(data: dict[str, object], status: int) -> None:
    """The document does not say when it is there."""
    assert task(status=status, **data).images == ()


@pytest.mark.parametrize(
    ("item", "url", "status", "reason", "is_done"),
    [
        ({"image_result": LINK, "status": 3, "reason": ""}, LINK, 3, "", True),
        ({"image_result": LINK, "status": "3"}, LINK, 3, "", True),
        ({"image_result": LINK}, LINK, None, "", True),
        ({"image_result": LINK, "status": None, "reason": None}, LINK, None, "", True),
        ({"image_result": LINK, "status": ""}, LINK, None, "", True),
        ({"image_result": LINK, "status": 4, "reason": "bad"}, LINK, 4, "bad", False),
        ({"image_result": LINK, "status": 2}, LINK, 2, "", False),
        ({"image_result": LINK, "status": "7"}, LINK, 4, "undocumented status 7", False),
        ({"image_result": LINK, "status": 0, "reason": "no money"}, LINK, 4, "no money", False),
        ({"image_result": "", "status": 3}, None, 3, "", False),
        ({"image_result": None, "status": 3}, None, 3, "", False),
        ({"status": "6", "reason": "took too long"}, None, 6, "took too long", False),
        ({"reason": 490027}, None, None, "490027", False),
        ({}, None, None, "", False),
    ],
    ids=[
        "done, number",
        "done, string",
        "done, no status",
        "done, nulls",
        "done, empty status",
        "failed with a link",
        "in progress with a link",
        "unlisted status",
        "unlisted status with reason",
        "complete without a link",
        "complete with a null link",
        "failed",
        "reason as a number",
        "empty object",
    ],
)
def test_a_picture_counts_as_done_only_with_a_link_and_a_complete_or_absent_status(
    item: dict[str, object], url: str | None, status: int | None, reason: str, is_done: bool
) -> None:
    """Every variation of a list entry; statuses of pictures use the codes of tasks."""
    image = one_image(**item)
    assert image == ImageResult(url, None if status is None else TaskStatus(status), reason)
    assert image.is_done is is_done


def test_pictures_keep_the_order_of_the_list() -> None:
    """The list has no index: its order is the order of the inputs."""
    links = [f"{LINK}?{i}" for i in range(20)]
    assert [image.url for image in task(list=[{"image_result": link} for link in links]).images] == links


def test_a_very_long_reason_is_cut() -> None:
    """A reason is shown to a person; a page of HTML is not a reason."""
    assert len(one_image(reason="x" * 100_000).reason) <= 500


# Refusals


@pytest.mark.parametrize("code", [1, -1, 490027, "490027", 680001.0], ids=repr)
@pytest.mark.parametrize("parse", [parse_created, lambda answer: parse_task(answer, TASK)], ids=["create", "result"])
def test_a_code_other_than_0_is_a_refusal_with_code_and_message(parse: object, code: object) -> None:
    """The code and the service's own words reach the user; no data is needed."""
    with pytest.raises(ServiceError, match="insufficient balance") as caught:
        parse(reply(None, code=code, msg="insufficient balance"))
    assert caught.value.code == int(float(code))
    assert str(int(float(code))) in str(caught.value)
    assert not isinstance(caught.value, ContractError)


@pytest.mark.parametrize("outer", [{"msg": None}, {"msg": ""}], ids=["null", "empty"])
def test_a_refusal_without_a_message_says_that_there_is_none(outer: dict[str, object]) -> None:
    """A sentence that ends after the colon would look like a fault of the pack."""
    with pytest.raises(ServiceError, match="code 7: no message"):
        parse_created(reply(None, code=7, **outer))


def test_the_message_of_a_refusal_is_cut_and_holds_no_signature() -> None:
    """What the service says is foreign text."""
    with pytest.raises(ServiceError) as caught:
        parse_created(reply(None, code=7, msg="cannot load https://p.example/a.png?sig=hunter2 " + "x" * 10_000))
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 1000


# Hostile and broken replies

NONSENSE = [
    ("HTML", b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "not JSON.*DOCTYPE"),
    ("empty", b"", "not JSON.*''"),
    ("spaces", b"  \r\n", "not JSON"),
    ("not UTF-8", b'{"code":0,"msg":"\xff\xfe"}', "not JSON.*code"),
    ("random bytes", bytes(range(128, 256)), "not JSON"),
    ("truncated", b'{"code":0,"data":{"task_id":"6a4eab77-be30', "not JSON.*6a4eab77"),
    ("two objects", b'{"code":0}{"code":0}', "not JSON"),
    ("deep list", b"[" * 200_000, r"not JSON.*\[\[\["),
    ("deep object", b'{"code":' * 200_000, "not JSON"),
    ("10 000 digits", b'{"code":' + b"9" * 10_000 + b"}", "9999"),
    ("null", b"null", "the answer should be an object, not None"),
    ("list", b"[]", r"the answer should be an object, not \[\]"),
    ("string", b'"ok"', "the answer should be an object, not 'ok'"),
    ("number", b"0", "the answer should be an object, not 0"),
    ("no code", b'{"data":{"task_id":"a1","status":3}}', "code should be a whole number, not None"),
    ("code null", b'{"code":null}', "code should be a whole number, not None"),
    ("code true", b'{"code":true}', "code should be a whole number, not True"),
    ("code false", b'{"code":false}', "code should be a whole number, not False"),
    ("code word", b'{"code":"ok"}', "code should be a whole number, not 'ok'"),
    ("code empty", b'{"code":""}', "code should be a whole number, not ''"),
    ("code half", b'{"code":0.5}', r"code should be a whole number, not 0\.5"),
    ("code NaN", b'{"code":NaN}', "code should be a whole number, not nan"),
    ("code infinite", b'{"code":-Infinity}', "code should be a whole number, not -inf"),
    ("code 1e400", b'{"code":1e400}', "code should be a whole number, not inf"),
    ("code 1e30", b'{"code":1e30}', r"code should be a whole number, not 1e\+30"),
    ("code huge", b'{"code":1000000000000000000000}', "code should be a whole number, not 1000000"),
    ("code list", b'{"code":[0]}', r"code should be a whole number, not \[0\]"),
    ("code object", b'{"code":{}}', r"code should be a whole number, not \{\}"),
    ("no data", b'{"code":0}', "data should be an object, not None"),
    ("data null", b'{"code":0,"data":null}', "data should be an object, not None"),
    ("data list", b'{"code":0,"data":[]}', r"data should be an object, not \[\]"),
    ("data string", b'{"code":0,"data":"6a4e"}', "data should be an object, not '6a4e'"),
    ("data number", b'{"code":0,"data":12}', "data should be an object, not 12"),
    ("data false", b'{"code":0,"data":false}', "data should be an object, not False"),
]


@pytest.mark.parametrize(("answer", "named"), [row[1:] for row in NONSENSE], ids=[row[0] for row in NONSENSE])
@pytest.mark.parametrize("parse", [parse_created, lambda answer: parse_task(answer, TASK)], ids=["create", "result"])
def test_an_answer_outside_the_document_names_field_and_value(parse: object, answer: bytes, named: str) -> None:
    """Nothing but ContractError leaves the parser, and its text stays short enough to read."""
    with pytest.raises(ContractError, match=named) as caught:
        parse(answer)
    assert len(str(caught.value)) < 300


BROKEN_TASKS: list[tuple[str, str, str]] = [
    ("no status", '{"wait_time":"5"}', "data.status should be a whole number, not None"),
    ("status null", '{"status":null}', "data.status should be a whole number, not None"),
    ("status empty", '{"status":""}', "data.status should be a whole number, not ''"),
    ("status word", '{"status":"done"}', "data.status should be a whole number, not 'done'"),
    ("status half", '{"status":"3.5"}', "data.status should be a whole number, not '3.5'"),
    ("status half number", '{"status":3.5}', "data.status should be a whole number, not 3.5"),
    ("status true", '{"status":true}', "data.status should be a whole number, not True"),
    ("status list", '{"status":[3]}', "data.status should be a whole number, not [3]"),
    ("status NaN", '{"status":NaN}', "data.status should be a whole number, not nan"),
    ("status Arabic digit", '{"status":"٣"}', "data.status should be a whole number, not '٣'"),
    ("status signed", '{"status":"+3"}', "data.status should be a whole number, not '+3'"),
    ("status 4000 digits", '{"status":' + "9" * 4000 + "}", "data.status should be a whole number, not 9999"),
    ("status 10000 digits", '{"status":"' + "9" * 10_000 + '"}', "data.status should be a whole number, not '9999"),
    ("status deep", '{"status":' + "[" * 400 + "]" * 400 + "}", "data.status should be a whole number, not [[[["),
    ("wait negative", '{"status":1,"wait_time":-1}', "data.wait_time should be seconds, not -1"),
    ("wait negative string", '{"status":1,"wait_time":"-0.5"}', "data.wait_time should be seconds, not '-0.5'"),
    ("wait word", '{"status":1,"wait_time":"soon"}', "data.wait_time should be seconds, not 'soon'"),
    ("wait blank", '{"status":1,"wait_time":"  "}', "data.wait_time should be seconds, not '  '"),
    ("wait true", '{"status":1,"wait_time":true}', "data.wait_time should be seconds, not True"),
    ("wait false", '{"status":1,"wait_time":false}', "data.wait_time should be seconds, not False"),
    ("wait list", '{"status":1,"wait_time":[5]}', "data.wait_time should be seconds, not [5]"),
    ("wait object", '{"status":1,"wait_time":{}}', "data.wait_time should be seconds, not {}"),
    ("wait NaN", '{"status":1,"wait_time":NaN}', "data.wait_time should be seconds, not nan"),
    ("wait 'nan'", '{"status":1,"wait_time":"nan"}', "data.wait_time should be seconds, not 'nan'"),
    ("wait infinite", '{"status":1,"wait_time":Infinity}', "data.wait_time should be seconds, not inf"),
    ("wait 'inf'", '{"status":1,"wait_time":"inf"}', "data.wait_time should be seconds, not 'inf'"),
    ("wait 4000 digits", '{"status":1,"wait_time":' + "9" * 4000 + "}", "data.wait_time should be seconds, not 9999"),
    ("wait 10000 digits", '{"status":1,"wait_time":"' + "9" * 10_000 + '"}', "data.wait_time should be seconds, not"),
    ("list object", '{"status":3,"list":{}}', "data.list should be a list, not {}"),
    ("list string", '{"status":3,"list":""}', "data.list should be a list, not ''"),
    ("list number", '{"status":3,"list":0}', "data.list should be a list, not 0"),
    ("list false", '{"status":3,"list":false}', "data.list should be a list, not False"),
    ("item null", '{"status":3,"list":[{},null]}', "data.list[1] should be an object, not None"),
    ("item string", '{"status":3,"list":["https://r"]}', "data.list[0] should be an object, not 'https://r'"),
    ("item list", '{"status":3,"list":[[]]}', "data.list[0] should be an object, not []"),
    ("link number", '{"status":3,"list":[{"image_result":1}]}', "data.list[0].image_result should be a link, not 1"),
    ("link false", '{"status":3,"list":[{"image_result":false}]}', "list[0].image_result should be a link, not False"),
    ("link list", '{"status":3,"list":[{},{"image_result":[]}]}', "list[1].image_result should be a link, not []"),
    ("item status", '{"status":3,"list":[{"status":"ok"}]}', "data.list[0].status should be a whole number, not 'ok'"),
    ("item status true", '{"status":3,"list":[{"status":true}]}', "list[0].status should be a whole number, not True"),
    ("item status list", '{"status":3,"list":[{"status":[]}]}', "list[0].status should be a whole number, not []"),
]


@pytest.mark.parametrize(("data", "named"), [row[1:] for row in BROKEN_TASKS], ids=[row[0] for row in BROKEN_TASKS])
def test_a_wrong_type_in_any_field_of_a_task_names_field_and_value(data: str, named: str) -> None:
    """Strict about types: nothing is guessed, nothing but ContractError comes out."""
    with pytest.raises(ContractError) as caught:
        parse_task(f'{{"code":0,"msg":"","data":{data}}}'.encode(), TASK)
    assert named in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "answer",
    [
        reply({"status": 4}, msg="\ud800"),
        reply({"status": 4, "list": [{"reason": "\udfff"}]}),
    ],
    ids=["message", "reason"],
)
def test_every_text_of_a_task_can_be_encoded(answer: bytes) -> None:
    """JSON may hold half a surrogate pair; passed on, it would break the report, the log and the web socket."""
    found = parse_task(answer, TASK)
    for text in (found.message, *(image.reason for image in found.images)):
        text.encode()
