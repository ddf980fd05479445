"""The client against real local servers: what is sent, what is repeated, and what every failure becomes."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cartoonize_pack.utils import client as client_module
from cartoonize_pack.utils.client import Client
from cartoonize_pack.utils.config import Profile, Secret
from cartoonize_pack.utils.contract import Limits, TaskStatus
from cartoonize_pack.utils.errors import (
    CartoonizeError,
    ContractError,
    InputError,
    OutcomeUnknownError,
    ServiceError,
    UnreachableError,
)
from cartoonize_pack.utils.http_errors import retry_after_s
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

LINKS = ["http://images.test/a.png"]
ACCEPTED = {"code": 0, "msg": "", "data": {"task_id": "t-1"}}
DONE = {"code": 0, "msg": "", "data": {"status": "3", "wait_time": "0", "list": []}}


def client_for(url: str, total_s: float = 20.0, **changes: object) -> Client:
    """A client of a profile at this address."""
    values: dict[str, object] = {
        "create_url": f"{url}/batch",
        "result_url": f"{url}/result/{{task_id}}",
        "app_key": Secret("ключ"),
        "app_secret": Secret("pa:ss"),
        "allow_http": True,
    }
    return Client(Profile("test", **(values | changes)), total_s)  # type: ignore[arg-type]


@pytest.fixture
def client(api: HTTPServer) -> Iterator[Client]:
    with client_for(api.url_for("").rstrip("/")) as client:
        yield client


def test_a_submission_is_what_the_document_describes(api: HTTPServer, client: Client) -> None:
    """JSON body with images and priority, Basic base64(key:secret) in UTF-8."""
    authorization = "Basic " + base64.b64encode("ключ:pa:ss".encode()).decode()
    api.expect_ordered_request(
        "/batch",
        method="POST",
        json={"images": LINKS, "priority": 7},
        headers={"Authorization": authorization, "Content-Type": "application/json"},
    ).respond_with_json(ACCEPTED)
    assert client.create_task(LINKS, 7) == "t-1"


def test_a_profile_may_leave_priority_out(api: HTTPServer) -> None:
    """Some sister services refuse the field."""
    api.expect_ordered_request("/batch", method="POST", json={"images": LINKS}).respond_with_json(ACCEPTED)
    with client_for(api.url_for("").rstrip("/"), send_priority=False) as client:
        assert client.create_task(LINKS, 7) == "t-1"


def test_a_task_id_is_quoted_into_the_address(api: HTTPServer, client: Client) -> None:
    """The id goes where {task_id} stands, and an id that could change the address is not sent."""
    api.expect_ordered_request("/result/a:b~c", method="GET").respond_with_json(DONE)
    assert client.get_task("a:b~c").status is TaskStatus.COMPLETE
    with pytest.raises(InputError, match="Not a task id"):
        client.get_task("../batch")


@pytest.mark.parametrize(
    ("links", "priority", "message"),
    [([], 1, "0 links"), (LINKS * 21, 1, "21 links"), (LINKS, 10, "not 10"), (["ftp://a/b"], 1, "http")],
)
def test_what_breaks_a_limit_is_never_sent(client: Client, links: list[str], priority: int, message: str) -> None:
    """The server would fail the test on any request; the error says that nothing was sent."""
    with pytest.raises(InputError, match=f"{message}.*Nothing was sent"):
        client.create_task(links, priority)


def test_limits_are_those_of_the_profile(api: HTTPServer) -> None:
    """A sister service may take fewer images."""
    with (
        client_for(api.url_for("").rstrip("/"), limits=Limits(max_images=2)) as client,
        pytest.raises(InputError, match="1 to 2 images, but 3"),
    ):
        client.create_task(LINKS * 3, 1)


STATUSES = [
    (401, ServiceError, "did not accept the key pair of profile 'test'", "not charged|nothing was charged"),
    (403, ServiceError, "does not let the key pair", "nothing was charged"),
    (404, ServiceError, "Check create_url", "nothing was charged"),
    (400, ServiceError, "refused the request", "nothing was charged"),
    (302, OutcomeUnknownError, "HTTP 302", "may have been accepted and charged"),
    (429, UnreachableError, "too many requests", "nothing was charged"),
    (307, ServiceError, "redirect, which is not followed", "nothing was charged"),
    (303, OutcomeUnknownError, "HTTP 303", "may have been accepted and charged"),
    (408, OutcomeUnknownError, "HTTP 408", "may have been accepted and charged"),
    (409, OutcomeUnknownError, "HTTP 409", "may have been accepted and charged"),
    (503, UnreachableError, "in trouble", "nothing was charged"),
    (500, OutcomeUnknownError, "HTTP 500", "may have been accepted and charged"),
    (502, OutcomeUnknownError, "HTTP 502", "may have been accepted and charged"),
    (504, OutcomeUnknownError, "HTTP 504", "may have been accepted and charged"),
]


@pytest.mark.parametrize(("status", "kind", "sentence", "charged"), STATUSES, ids=[str(s[0]) for s in STATUSES])
def test_a_submission_is_sent_once_whatever_the_answer(
    api: HTTPServer, client: Client, status: int, kind: type[ServiceError], sentence: str, charged: str
) -> None:
    """One request each, and a sentence that says what happened and whether it was charged."""
    headers = {"Location": "/elsewhere"} if 300 < status < 400 else {}
    api.expect_ordered_request("/batch", method="POST").respond_with_json(
        {"code": 1, "msg": "out of luck"}, status=status, headers=headers
    )
    with pytest.raises(kind) as caught:
        client.create_task(LINKS, 1)
    assert type(caught.value) is kind
    assert caught.value.http_status == status
    assert sentence in str(caught.value)
    assert "out of luck" in str(caught.value)
    assert any(words in str(caught.value) for words in charged.split("|"))
    assert len(api.log) == 1


def test_a_refusal_code_is_told_with_the_services_words(api: HTTPServer, client: Client) -> None:
    """HTTP 200 with a code other than 0: refused, not charged, the code kept."""
    api.expect_ordered_request("/batch").respond_with_json({"code": 490027, "msg": "insufficient balance"})
    with pytest.raises(ServiceError, match="code 490027: insufficient balance") as caught:
        client.create_task(LINKS, 1)
    assert caught.value.code == 490027
    assert "othing was charged" in str(caught.value)


@pytest.mark.parametrize(
    "body", ["", "<html>", "{", '{"code": 0, "data": {}}', '{"code": 0, "data": {"task_id": "a/b"}}']
)
def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown(api: HTTPServer, client: Client, body: str) -> None:
    """The submission arrived; saying 'failed' could make the user pay twice."""
    api.expect_ordered_request("/batch").respond_with_data(body)
    with pytest.raises(OutcomeUnknownError, match="may have been accepted and charged"):
        client.create_task(LINKS, 1)
    assert len(api.log) == 1


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that takes requests and does what `answer` says; yields its address and what it received."""
    received: list[bytes] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(2)
                    received.append(connection.recv(65536))
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
        finally:
            done.set()
            thread.join()


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _half(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{"code": 0, ')


def _bad_status(connection: socket.socket) -> None:
    connection.sendall(b"\x00\x01 not HTTP\r\n\r\n")


@pytest.mark.parametrize("answer", [_reset, _half, _bad_status, lambda connection: None])
def test_a_connection_that_breaks_after_sending_leaves_the_outcome_unknown(
    answer: Callable[[socket.socket], None],
) -> None:
    """Reset, closed without an answer, half an answer, nonsense: one submission, never repeated."""
    with raw_server(answer) as (url, received), client_for(url) as client:
        with pytest.raises(OutcomeUnknownError, match="may have been accepted and charged"):
            client.create_task(LINKS, 1)
        assert len(received) == 1


def _drip(connection: socket.socket, done: threading.Event) -> None:
    """A header that never ends: every byte starts the socket's own timeout anew."""
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        while not done.wait(0.02):
            connection.sendall(b"x")


@pytest.mark.parametrize("drips", [False, True], ids=["silence", "dripping header"])
def test_a_call_ends_in_its_time_whatever_the_server_does(drips: bool) -> None:
    """A server that takes the request and says nothing, or never comes to an end, does not hold us for ever."""
    done = threading.Event()

    def answer(connection: socket.socket) -> None:
        if drips:
            _drip(connection, done)
        else:
            done.wait(5)

    with raw_server(answer) as (url, received), client_for(url, total_s=0.3) as client:
        start = time.monotonic()
        try:
            with pytest.raises(OutcomeUnknownError, match="may have been accepted and charged"):
                client.create_task(LINKS, 1)
            assert time.monotonic() - start < 3
        finally:
            done.set()
        assert len(received) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
def test_every_success_with_a_task_id_is_an_acceptance(api: HTTPServer, client: Client, status: int) -> None:
    """A service may well answer 202 to work that it does later."""
    api.expect_ordered_request("/batch").respond_with_json(ACCEPTED, status=status)
    assert client.create_task(LINKS, 1) == "t-1"


def test_a_compressed_answer_is_read_all_the_same(api: HTTPServer, client: Client) -> None:
    """Some gateways compress whatever they are asked."""
    body = gzip.compress(json.dumps(ACCEPTED).encode())
    api.expect_ordered_request("/batch").respond_with_data(body, headers={"Content-Encoding": "gzip"})
    assert client.create_task(LINKS, 1) == "t-1"


def test_a_503_without_a_word_leaves_the_outcome_unknown(api: HTTPServer, client: Client) -> None:
    """A gateway's 503 may come after the request had reached the service; one with a message or a wait is a no."""
    api.expect_ordered_request("/batch").respond_with_data("upstream reset", status=503)
    with pytest.raises(OutcomeUnknownError):
        client.create_task(LINKS, 1)


def test_a_dead_proxy_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection through it never stood."""
    monkeypatch.setenv("HTTPS_PROXY", _closed_port())
    with client_for("https://api.test") as client, pytest.raises(UnreachableError, match="Nothing was sent"):
        client.create_task(LINKS, 1)


def test_a_wait_that_the_service_asks_for_is_not_cut_short(api: HTTPServer, client: Client) -> None:
    """No quick repetition: whoever watches the task waits, and hears Cancel meanwhile."""
    api.expect_request("/result/t").respond_with_data("", status=429, headers={"Retry-After": "600"})
    with pytest.raises(UnreachableError) as caught:
        client.get_task("t")
    assert caught.value.retry_after_s == 600
    assert len(api.log) == 1


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("url", [_closed_port(), "http://name.invalid"], ids=["refused", "no such name"])
def test_where_nothing_can_have_arrived_the_error_says_so(url: str) -> None:
    """A refused connection or an unknown name: nothing was sent."""
    with client_for(url) as client:
        with pytest.raises(UnreachableError, match="Nothing was sent, nothing was charged") as caught:
            client.create_task(LINKS, 1)
        assert not isinstance(caught.value, OutcomeUnknownError)


def test_tls_to_a_server_that_has_none_sends_nothing() -> None:
    """The handshake fails before the request."""
    with raw_server(_bad_status) as (url, received), client_for(url.replace("http://", "https://")) as client:
        with pytest.raises(UnreachableError, match="Nothing was sent"):
            client.create_task(LINKS, 1)
        assert all(LINKS[0].encode() not in request for request in received)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_asking_for_a_result_is_repeated_through_a_blip(api: HTTPServer, client: Client, status: int) -> None:
    """Twice trouble, then the answer: nobody notices."""
    for _ in range(2):
        api.expect_ordered_request("/result/t").respond_with_data("", status=status)
    api.expect_ordered_request("/result/t").respond_with_json(DONE)
    assert client.get_task("t").status is TaskStatus.COMPLETE


def test_longer_trouble_is_handed_to_whoever_waits(api: HTTPServer, client: Client) -> None:
    """After three answers it becomes an error with the service's words."""
    api.expect_request("/result/t").respond_with_json({"msg": "busy\x1b[31m"}, status=503)
    with pytest.raises(UnreachableError, match="in trouble .HTTP 503.. It says: busy") as caught:
        client.get_task("t")
    assert "\x1b" not in str(caught.value)
    assert len(api.log) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_no_is_not_repeated(api: HTTPServer, client: Client, status: int) -> None:
    """Asking again would not help."""
    api.expect_ordered_request("/result/t").respond_with_data("", status=status)
    with pytest.raises(ServiceError) as caught:
        client.get_task("t")
    assert type(caught.value) is ServiceError
    assert len(api.log) == 1


def test_an_unknown_task_tells_which_profile_to_choose(api: HTTPServer, client: Client) -> None:
    """The usual cause is another profile than the one it was submitted with."""
    api.expect_ordered_request("/result/t").respond_with_data("", status=404)
    with pytest.raises(ServiceError, match="Choose the profile that it was submitted with"):
        client.get_task("t")


def test_nonsense_about_a_task_is_a_contract_error(api: HTTPServer, client: Client) -> None:
    """HTML behind HTTP 200 is named as what it is."""
    api.expect_ordered_request("/result/t").respond_with_data("<html>")
    with pytest.raises(ContractError, match="not JSON"):
        client.get_task("t")


def test_an_endless_answer_is_cut_off(api: HTTPServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply is read up to its limit only."""
    monkeypatch.setattr(client_module, "MAX_REPLY_BYTES", 1000)
    api.expect_request("/result/t").respond_with_data("x" * 5000)
    with pytest.raises(UnreachableError, match="more than the 1000 bytes"):
        client.get_task("t")


def test_the_key_is_never_sent_to_another_address(api: HTTPServer, client: Client) -> None:
    """A redirect is an error, for both calls; the target sees no request at all."""
    seen: list[Request] = []

    def target(request: Request) -> Response:
        seen.append(request)
        return Response(json.dumps(DONE))

    api.expect_request("/elsewhere").respond_with_handler(target)
    for path, call in (("/batch", lambda: client.create_task(LINKS, 1)), ("/result/t", lambda: client.get_task("t"))):
        api.expect_request(path).respond_with_data("", status=307, headers={"Location": api.url_for("/elsewhere")})
        with pytest.raises(ServiceError, match="redirect"):
            call()
    assert seen == []


def test_no_error_shows_the_key_pair(api: HTTPServer, client: Client) -> None:
    """Not as the header that was sent, also when the service echoes it."""
    encoded = base64.b64encode("ключ:pa:ss".encode()).decode()
    api.expect_request("/batch").respond_with_json({"code": 5, "msg": f"bad header Basic {encoded}"})
    with pytest.raises(CartoonizeError) as caught:
        client.create_task(LINKS, 1)
    assert encoded not in str(caught.value)
    assert "pa:ss" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("", None), ("5", 5.0), (" 7 ", 7.0), ("0", 0.0), ("soon", None), ("-1", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0), ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0), ("9" * 30, 999999999.0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """Both forms of the header; nonsense counts as none."""
    assert retry_after_s(header, now_s=60.0) == seconds
