"""One work, sent: what is tried again, what is not, and what the journal says meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from cartoonize_pack.utils import config, sending
from cartoonize_pack.utils.backend import Backend, connect
from cartoonize_pack.utils.errors import (
    Cancelled,
    CartoonizeError,
    ContractError,
    InputError,
    OutcomeUnknownError,
    ServiceError,
    UnreachableError,
)
from cartoonize_pack.utils.monitor import Monitor, Progress
from cartoonize_pack.utils.records import State
from cartoonize_pack.utils.sending import retry_wait_s
from cartoonize_pack.utils.submission import Request, submit
from pytest_httpserver import HTTPServer
from werkzeug import Request as HttpRequest
from werkzeug import Response

REQUEST = Request(("https://images.test/1.png",))
ACCEPTED = {"code": 0, "msg": "", "data": {"task_id": "t-1"}}


def unreachable(status: int | None = None, retry_after_s: float | None = None) -> UnreachableError:
    """Trouble of which certainly nothing was accepted."""
    return UnreachableError("trouble", http_status=status, retry_after_s=retry_after_s, is_refusal=status is not None)


@pytest.mark.parametrize(
    ("error", "attempt", "wait_s"),
    [
        (unreachable(), 0, 1.0),  # no connection: DNS, refused, TLS
        (unreachable(), 1, 2.0),
        (unreachable(), 2, 4.0),
        (unreachable(), 3, None),
        (unreachable(429, 7.0), 0, 7.0),
        (unreachable(429, 0.0), 0, 1.0),
        (unreachable(429, 30.0), 2, 30.0),
        (unreachable(429, 31.0), 0, None),  # longer than a graph should stand still
        (unreachable(429), 0, None),  # it does not say when
        (unreachable(503), 0, 1.0),
        (unreachable(503, 5.0), 1, 5.0),
        (unreachable(503, 600.0), 0, None),
        (OutcomeUnknownError("nobody knows"), 0, None),
        (ServiceError("wrong key", http_status=401, is_refusal=True), 0, None),
        (ContractError("nonsense"), 0, None),
        (InputError("no link"), 0, None),
        (Cancelled("Cancelled."), 0, None),
    ],
)
def test_only_what_was_certainly_not_accepted_is_tried_again(
    error: CartoonizeError, attempt: int, wait_s: float | None
) -> None:
    """After 1, 2 and 4 s, or what the service asks for, up to half a minute."""
    assert retry_wait_s(error, attempt) == wait_s


@pytest.fixture
def backend(api: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A profile whose service is scripted request by request; the waits are short."""
    url = api.url_for("").rstrip("/")
    for name, value in {
        "CREATE_URL": f"{url}/batch",
        "RESULT_URL": f"{url}/result/{{task_id}}",
        "APP_KEY": "key",
        "APP_SECRET": "secret",
        "ALLOW_HTTP": "1",
        "CHECK_LINKS": "0",
        "ALLOW_HOSTS": "127.0.0.1,localhost",
    }.items():
        monkeypatch.setenv(f"CARTOONIZE_{name}", value)
    monkeypatch.setattr(sending, "RETRY_WAITS_S", (0.01, 0.01, 0.01))
    return connect(config.load(), "env")


def states(backend: Backend) -> list[State]:
    """What the journal says of every submission."""
    return [submission.state for submission in backend.journal.submissions()]


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [(429, {"Retry-After": "0"}, ""), (503, {"Retry-After": "0"}, ""), (503, {}, '{"code": 1, "msg": "busy"}')],
    ids=["429 with Retry-After", "503 with Retry-After", "503 with a word"],
)
def test_a_service_that_is_busy_is_asked_again_and_accepts_once(
    api: HTTPServer, backend: Backend, status: int, headers: dict[str, str], body: str
) -> None:
    """Twice no, then yes: three requests, one task; before each of them the journal says "sending"."""
    seen: list[list[State]] = []

    def answer(request: HttpRequest) -> Response:
        seen.append(states(backend))
        return Response(body, status=status, headers=headers)

    for _ in range(2):
        api.expect_ordered_request("/batch", method="POST").respond_with_handler(answer)
    api.expect_ordered_request("/batch", method="POST").respond_with_json(ACCEPTED)
    told: list[Progress] = []
    assert [str(task) for task in submit(backend, REQUEST, Monitor(told.append))] == ["t-1"]
    assert seen == [[State.SENDING]] * 2
    assert states(backend) == [State.ACCEPTED]
    assert any("Trying again in" in progress.text for progress in told)


def test_a_service_that_stays_busy_is_an_error_after_four_requests(api: HTTPServer, backend: Backend) -> None:
    """Nothing was accepted, and the journal says so: the next run may send."""
    for _ in range(4):
        api.expect_ordered_request("/batch").respond_with_data("", status=429, headers={"Retry-After": "0"})
    with pytest.raises(UnreachableError, match="HTTP 429.*nothing was charged"):
        submit(backend, REQUEST, Monitor())
    assert states(backend) == [State.REFUSED]
    api.expect_ordered_request("/batch").respond_with_json(ACCEPTED)
    submit(backend, REQUEST, Monitor())
    assert states(backend) == [State.ACCEPTED]


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {}), (429, {"Retry-After": "3600"}), (503, {}), (500, {}), (502, {}), (401, {}), (303, {"Location": "/x"})],
    ids=["429 that says nothing", "429 for an hour", "bare 503", "500", "502", "401", "303"],
)
def test_everything_else_is_asked_once(api: HTTPServer, backend: Backend, status: int, headers: dict[str, str]) -> None:
    """Whether it is certain or not that nothing was accepted."""
    api.expect_ordered_request("/batch").respond_with_data("", status=status, headers=headers)
    with pytest.raises(ServiceError):
        submit(backend, REQUEST, Monitor())
    assert len(api.log) == 1


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/batch", "http://name.invalid/batch", "https://localhost:{port}/batch"]
)
def test_where_there_is_no_connection_it_is_tried_again(
    api: HTTPServer, backend: Backend, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Refused, no such name, no TLS there: nothing arrived, four attempts, and the sentence says so."""
    monkeypatch.setenv("CARTOONIZE_CREATE_URL", url.format(port=api.port))
    told: list[Progress] = []
    with pytest.raises(UnreachableError, match="Nothing was sent, nothing was charged"):
        submit(connect(config.load(), "env"), REQUEST, Monitor(told.append))
    assert any("Trying again in" in progress.text for progress in told)
    (record,) = backend.journal.submissions()
    assert (record.state, record.number) == (State.REFUSED, 4)  # each attempt is a record that replaces the one before


def test_cancel_during_such_a_wait_ends_it_and_leaves_nothing_open(
    api: HTTPServer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal says that nothing was accepted; no second request is made."""
    monkeypatch.setattr(sending, "RETRY_WAITS_S", (30.0,))
    monitor = Monitor()

    def busy(request: HttpRequest) -> Response:
        monitor.cancel()
        return Response("", status=429, headers={"Retry-After": "0"})

    api.expect_ordered_request("/batch").respond_with_handler(busy)
    with pytest.raises(Cancelled):
        submit(backend, REQUEST, monitor)
    senders = [thread for thread in threading.enumerate() if thread.name == "cartoonize-batch"]
    for thread in senders:
        thread.join(10)
    assert states(backend) == [State.REFUSED]
    assert len(api.log) == 1


def test_no_secret_reaches_the_journal(api: HTTPServer, backend: Backend) -> None:
    """Neither the key pair, nor the signature of a link, nor what a service echoes; digests stand for them."""
    link = "https://images.test/1.png?signature=hunter2"
    api.expect_ordered_request("/batch").respond_with_json(
        {"code": 5, "msg": f"cannot load {link}, Basic a2V5OnNlY3JldA=="}
    )
    with pytest.raises(ServiceError):
        submit(backend, Request((link,)), Monitor())
    (record,) = backend.journal.submissions()
    assert record.links == ("https://images.test/1.png",)
    data = b"".join(path.read_bytes() for path in Path(os.environ["CARTOONIZE_HOME"]).rglob("*") if path.is_file())
    assert b"images.test/1.png" in data
    for secret in (b"hunter2", b"a2V5OnNlY3JldA", b"secret"):
        assert secret not in data
