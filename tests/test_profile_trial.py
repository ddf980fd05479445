"""A profile on trial: what each answer of a service means, what it is asked, and that nothing takes for ever."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cartoonize_pack.utils.config import load
from cartoonize_pack.utils.contract import Task, TaskStatus
from cartoonize_pack.utils.errors import ConfigurationError, ContractError, InputError, ServiceError, UnreachableError
from cartoonize_pack.utils.profile_trial import Answer, Reply, key_step, reply_of, service_step, steps
from cartoonize_pack.utils.service.server import stop_embedded
from cartoonize_pack.utils.steps import Step
from cartoonize_pack.utils.trials import Trials
from fake_clock import Clock
from pytest_httpserver import HTTPServer
from scripted_service import profile_at
from werkzeug import Request, Response

UNKNOWN_TASK = {"code": 404, "msg": "there is no such task", "data": None}
WRONG_KEYS = {"code": 401, "msg": "the key pair is missing or wrong", "data": None}


@pytest.fixture
def home() -> Iterator[Path]:
    """The state folder; the embedded server is stopped afterwards."""
    folder = Path(os.environ["CARTOONIZE_HOME"])
    yield folder
    stop_embedded(folder)


# What an answer means

HTTP = [
    (400, Answer.NO_SUCH_TASK), (401, Answer.KEY_REFUSED), (402, Answer.REFUSED), (403, Answer.KEY_REFUSED),
    (404, Answer.NO_SUCH_TASK), (405, Answer.REFUSED), (410, Answer.NO_SUCH_TASK), (422, Answer.NO_SUCH_TASK),
    (301, Answer.NOT_THE_API), (302, Answer.NOT_THE_API), (308, Answer.NOT_THE_API), (418, Answer.REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("status", "answer"), HTTP)
def test_a_status_means(status: int, answer: Answer) -> None:
    """404 is what is hoped for, 401 and 403 are about the keys, a redirect leads to a page."""
    assert reply_of(ServiceError("said", http_status=status)).answer is answer


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, None])
def test_trouble_is_no_answer(status: int | None) -> None:
    """Nothing is known then; a 5xx may be how a service takes a made-up task."""
    reply = reply_of(UnreachableError("The service is in trouble.", http_status=status))
    assert reply.answer is Answer.UNUSABLE
    assert reply.words.startswith("The service is in trouble.")
    assert ("made-up task" in reply.words) == (status is not None and status >= 500)


CODES = [
    (404, "there is no such task", Answer.NO_SUCH_TASK),
    (490001, "task does not exist", Answer.NO_SUCH_TASK),
    (490001, "任务不存在", Answer.NO_SUCH_TASK),
    (1, "no message", Answer.NO_SUCH_TASK),
    (401, "go away", Answer.KEY_REFUSED),
    (403, "go away", Answer.KEY_REFUSED),
    (680001, "invalid app_key", Answer.KEY_REFUSED),
    (680001, "Unauthorized", Answer.KEY_REFUSED),
    (680001, "signature mismatch", Answer.KEY_REFUSED),
    (680001, "permission denied", Answer.KEY_REFUSED),
    (680001, "鉴权失败", Answer.KEY_REFUSED),
    (680001, "no task for [key]", Answer.NO_SUCH_TASK),  # an echo of a key, as the client leaves it
    (680001, "the monkey is asleep", Answer.NO_SUCH_TASK),
]


@pytest.mark.parametrize(("code", "message", "answer"), CODES)
def test_a_refusal_of_the_api_means(code: int, message: str, answer: Answer) -> None:
    """Its codes are its own, so its words decide whether it is about the keys; both are shown."""
    words = f"The service refused with code {code}: {message}"
    assert reply_of(ServiceError(words, code=code, is_refusal=True)) == Reply(answer, words)


def test_other_answers_mean() -> None:
    """A task that is not there is told of, or something is that is no API."""
    assert reply_of(Task("t", TaskStatus.FAILED, 4, None, ())) == Reply(Answer.A_TASK)
    assert reply_of(ContractError("no JSON")) == Reply(Answer.NOT_THE_API, "no JSON")


@pytest.mark.parametrize(
    ("answer", "is_good"),
    [
        (Answer.NO_SUCH_TASK, True),
        (Answer.A_TASK, True),
        (Answer.KEY_REFUSED, True),
        (Answer.REFUSED, False),
        (Answer.NOT_THE_API, False),
        (Answer.UNUSABLE, False),
    ],
)
def test_what_is_known_of_the_service(answer: Answer, is_good: bool) -> None:
    """Also what is not known: the address that costs money is not tried."""
    step = service_step(Reply(answer, "its words"))
    assert (step.name, step.is_good) == ("service", is_good)
    assert ("create_url is not tried" in step.words) == is_good
    assert is_good or "its words" in step.words


KEYS = [
    (Answer.KEY_REFUSED, Answer.KEY_REFUSED, False, "^own words$"),
    (Answer.NO_SUCH_TASK, Answer.KEY_REFUSED, True, "^accepted: a made-up key pair is refused, this one is not$"),
    (Answer.A_TASK, Answer.KEY_REFUSED, True, "^accepted"),
    (Answer.NO_SUCH_TASK, Answer.NO_SUCH_TASK, True, "cannot be known: the service tells a made-up one the same"),
    (Answer.A_TASK, Answer.A_TASK, True, "cannot be known: the service tells a made-up one the same"),
    (Answer.NO_SUCH_TASK, Answer.UNUSABLE, True, "cannot be known before the first submission"),
    (Answer.NO_SUCH_TASK, Answer.REFUSED, True, "cannot be known before the first submission"),
]


@pytest.mark.parametrize(("own", "stranger", "is_good", "words"), KEYS)
def test_what_is_known_of_the_key_pair(own: Answer, stranger: Answer, is_good: bool, words: str) -> None:
    """It is accepted for certain only where a made-up one is refused."""
    step = key_step(Reply(own, "own words"), Reply(stranger, "other words"))
    assert (step.name, step.is_good) == ("key pair", is_good)
    assert re.search(words, step.words)


# A service that is asked


def tried(
    monkeypatch: pytest.MonkeyPatch, api: HTTPServer, home: Path, total_s: float = 20.0, **more: str
) -> dict[str, Step]:
    """The steps of the default profile, by name, which has this server's addresses."""
    environment = profile_at(api.url_for("/batch"), api.url_for("/result/{task_id}")) | more
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return {step.name: step for step in steps(load(home), "auto", total_s)}


def test_a_service_is_asked_for_nothing_but_a_task_that_cannot_exist(
    monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, home: Path
) -> None:
    """With the key pair of the profile, and with one that is made up; nothing is submitted."""
    own = "Basic a2V5LWZvci10ZXN0czpzZWNyZXQtZm9yLXRlc3Rz"

    def answer(request: Request) -> Response:
        is_own = request.headers["Authorization"] == own
        status, body = (404, UNKNOWN_TASK) if is_own else (401, WRONG_KEYS)
        return Response(str(body), status)

    httpserver.expect_request(re.compile("/result/.*")).respond_with_handler(answer)
    found = tried(monkeypatch, httpserver, home, CARTOONIZE_HOST="local", CARTOONIZE_PUBLIC_URL="https://me.example")
    assert {name: step.is_good for name, step in found.items()} == dict.fromkeys(
        ("configuration", "service", "key pair", "image host"), True
    )
    assert "accepted: a made-up key pair is refused" in found["key pair"].words
    assert found["image host"].words.startswith("'local' is ready")
    assert len(httpserver.log) == 2
    for request, _ in httpserver.log:
        assert request.method == "GET"
        assert re.fullmatch("/result/[0-9a-f]{32}", request.path)
        assert request.data == b""
    assert httpserver.log[0][0].path != httpserver.log[1][0].path


def test_keys_that_are_refused_are_told(monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, home: Path) -> None:
    """The service is there; nobody else is asked with its keys."""
    httpserver.expect_request(re.compile("/result/.*")).respond_with_json(WRONG_KEYS, 401)
    found = tried(monkeypatch, httpserver, home)
    assert found["service"].is_good
    assert not found["key pair"].is_good
    assert "did not accept the key pair of profile 'env'" in found["key pair"].words
    assert len(httpserver.log) == 1


def test_a_page_is_no_service(monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, home: Path) -> None:
    """Of a shop, of a proxy, of a login."""
    httpserver.expect_request(re.compile("/result/.*")).respond_with_data("<html>welcome</html>")
    found = tried(monkeypatch, httpserver, home)
    assert not found["service"].is_good
    assert "is not the API: The service's answer is not JSON" in found["service"].words
    assert "key pair" not in found


def test_a_service_that_cannot_be_reached_is_told(
    monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, home: Path
) -> None:
    """Whether the image host is usable is told all the same: here there is none."""
    monkeypatch.setattr("cartoonize_pack.utils.client.QUICK_WAIT_S", 0.0)
    monkeypatch.setenv("CARTOONIZE_CREATE_URL", "http://127.0.0.1:9/batch")
    monkeypatch.setattr(httpserver, "url_for", lambda path: f"http://127.0.0.1:9{path}")
    found = tried(monkeypatch, httpserver, home)
    assert "cannot be reached" in found["service"].words
    assert not found["image host"].is_good
    assert "no image host is set" in found["image host"].words
    assert list(found) == ["configuration", "service", "image host"]


def test_a_service_that_never_answers_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, home: Path
) -> None:
    """All steps together have one deadline."""
    leave = threading.Event()

    def wait(request: Request) -> Response:
        leave.wait(10)
        return Response()

    httpserver.expect_request(re.compile("/result/.*")).respond_with_handler(wait)
    try:
        found = tried(monkeypatch, httpserver, home, total_s=0.1)
    finally:
        leave.set()
    assert "did not answer: no end after 0.1 s" in found["service"].words
    assert not found["image host"].is_good


def test_a_profile_that_is_not_ready_is_not_tried(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """One step, which says what to set and where."""
    monkeypatch.setenv("CARTOONIZE_CREATE_URL", "https://api.example/")
    (step,) = steps(load(home), "env")
    assert not step.is_good
    assert re.search(r"CARTOONIZE_RESULT_URL, .* not set; set it in the environment of ComfyUI", step.words)


def test_a_name_that_nobody_describes_is_an_error_at_once(home: Path) -> None:
    """Before any step is asked for."""
    with pytest.raises(ConfigurationError, match="There is no profile 'stduio' on this machine"):
        steps(load(home), "stduio")


def test_the_embedded_service_is_started_and_asked(home: Path) -> None:
    """It needs no key, and its image host is itself."""
    found = {step.name: step for step in steps(load(home), "local-manga")}
    assert {name: step.words for name, step in found.items()} == {
        "configuration": "the profile 'local-manga' has all that it needs",
        "service": "the embedded service runs, and answers",
        "image host": "'local' is ready",
    }
    assert all(step.is_good for step in found.values())


def test_an_embedded_service_that_cannot_start_is_told(home: Path) -> None:
    """Its folder is in somebody's way."""
    home.mkdir()
    (home / "service").write_text("in the way")
    found = {step.name: step for step in steps(load(home), "local")}
    assert not found["service"].is_good
    assert "The embedded service cannot use its folder" in found["service"].words


def test_the_time_that_is_left_gets_shorter(monkeypatch: pytest.MonkeyPatch, home: Path, clock: Clock) -> None:
    """A clock that jumps past the end leaves a moment for each step, so that each of them is told."""
    found = []
    for step in steps(load(home), "local", 20.0, lambda: clock.now):
        clock.now += 1000.0
        found.append(step)
    assert [step.name for step in found] == ["configuration", "service", "image host"]


# Trials that a server is asked for


def of(*words: str) -> list[Step]:
    """Steps with these words."""
    return [Step("step", True, word) for word in words]


def test_a_trial_that_is_stuck_is_answered_in_time_and_keeps_its_place() -> None:
    """What is done is told; nobody begins the same while it still runs, others may."""
    leave, ended = threading.Event(), threading.Event()

    def stuck() -> Iterator[Step]:
        yield from of("first")
        leave.wait(10)
        ended.set()

    async def use() -> None:
        trials = Trials()
        first, last = await trials.run("a", stuck, 0.05)
        assert (first.words, last.is_good, last.words[:17]) == ("first", False, "no end after 0.05")
        assert trials.is_running("a")
        assert await trials.run("b", lambda: of("other"), 5) == of("other")
        assert not trials.is_running("b")
        await trials.run("c", lambda: of("another"), 5)
        assert set(trials._running) == {"a", "c"}  # what has ended is not remembered
        leave.set()
        while trials.is_running("a"):
            await asyncio.sleep(0)

    asyncio.run(use())
    assert ended.is_set()


def test_what_ends_a_trial_is_a_step_or_an_error() -> None:
    """What the pack says in words is a step; what it does not know is raised."""

    def refused() -> Iterator[Step]:
        yield from of("first")
        raise InputError("in words")

    def broken() -> Iterator[Step]:
        raise ZeroDivisionError

    async def use() -> list[Step]:
        trials = Trials()
        with pytest.raises(ZeroDivisionError):
            await trials.run("a", broken, 5)
        return await trials.run("a", refused, 5)

    assert asyncio.run(use()) == [*of("first"), Step("configuration", False, "in words")]
