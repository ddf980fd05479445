"""The client against real local servers: what is sent, what is repeated, and what every failure becomes."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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


def one_packet(connection: socket.socket) -> bytes:
    """What is there first, whatever it is."""
    return connection.recv(65536)


def whole_request(connection: socket.socket) -> bytes:
    """A request to the end of the body that its head announces."""
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            return data
        part = connection.recv(65536)
        assert part, "the client gave up in the middle"
        data += part


@contextmanager
def raw_server(
    answer: Callable[[socket.socket], None], read: Callable[[socket.socket], bytes] = one_packet
) -> Iterator[tuple[str, list[bytes]]]:
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
                    received.append(read(connection))
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


@pytest.mark.parametrize(
    ("body", "retry_after"),
    [
        ("", None),
        ("upstream reset", None),
        ('{"msg": "busy"}', None),
        ('{"code": 0, "msg": "busy"}', None),
        ('{"code": null, "msg": "busy"}', None),
        ('{"code": "busy"}', None),
        ('{"code": 1.5}', None),
        ('{"code": true}', None),
        ('{"error": {"code": 1}}', None),
        ('[{"code": 1}]', None),
        ('{"code": 1', None),
        ("upstream reset", "soon"),
        ('{"msg": "busy"}', "-1"),
    ],
)
def test_a_503_without_a_code_or_a_wait_leaves_the_outcome_unknown(
    api: HTTPServer, client: Client, body: str, retry_after: str | None
) -> None:
    """A gateway's 503 may come after the request had reached the service, also one that has words for it."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    api.expect_ordered_request("/batch").respond_with_data(body, status=503, headers=headers)
    with pytest.raises(OutcomeUnknownError, match="may have been accepted and charged") as caught:
        client.create_task(LINKS, 1)
    assert caught.value.http_status == 503
    assert "othing was charged" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "retry_after", "wait_s"),
    [
        ('{"code": 1}', None, None),
        ('{"code": -490027, "msg": "busy"}', None, None),
        ("", "3", 3.0),
        ("upstream reset", "Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ('{"msg": "busy"}', "0", 0.0),
        ('{"code": 0}', "7", 7.0),
    ],
)
def test_a_503_with_a_code_or_a_wait_is_a_refusal(
    api: HTTPServer, client: Client, body: str, retry_after: str | None, wait_s: float | None
) -> None:
    """The document's own way to refuse, or a wish to be asked later: the sender may repeat it."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    api.expect_ordered_request("/batch").respond_with_data(body, status=503, headers=headers)
    with pytest.raises(UnreachableError, match="Nothing was accepted, nothing was charged") as caught:
        client.create_task(LINKS, 1)
    assert (caught.value.http_status, caught.value.retry_after_s, caught.value.is_refusal) == (503, wait_s, True)


# Proxies


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_dead_proxy_has_sent_nothing(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """The connection through it never stood."""
    monkeypatch.setenv(f"{scheme}_proxy", _closed_port())
    with client_for(f"{scheme}://svc.test") as client:
        with pytest.raises(UnreachableError, match="Nothing was sent, nothing was charged") as caught:
            client.create_task(LINKS, 1)
        assert type(caught.value) is UnreachableError


@pytest.mark.parametrize("status", ["502 Bad Gateway", "403 Forbidden", "407 Proxy Authentication Required"])
def test_a_proxy_that_refuses_the_tunnel_has_sent_nothing(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """It learned the name of the host and nothing else, neither the links nor the key pair."""

    def refuse(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    with raw_server(refuse, whole_request) as (url, received), client_for("https://svc.test") as client:
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(UnreachableError, match="Nothing was sent, nothing was charged") as caught:
            client.create_task(LINKS, 1)
        assert type(caught.value) is UnreachableError
        assert status.partition(" ")[0] in str(caught.value)
    (request,) = received
    assert request.startswith(b"CONNECT svc.test:443 ")
    assert b"Basic" not in request


@pytest.mark.parametrize(
    "answer", [_reset, lambda connection: None, _half, _bad_status], ids=["reset", "closed", "half", "nonsense"]
)
def test_a_proxy_that_breaks_after_the_submission_leaves_the_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None]
) -> None:
    """It had the whole of it, and may have handed it on: one submission, never repeated."""
    with raw_server(answer, whole_request) as (url, received), client_for("http://svc.test") as client:
        monkeypatch.setenv("http_proxy", url)
        with pytest.raises(OutcomeUnknownError, match="may have been accepted and charged"):
            client.create_task(LINKS, 1)
    (request,) = received
    assert request.startswith(b"POST http://svc.test/batch HTTP/1.1\r\n")
    assert json.loads(request.partition(b"\r\n\r\n")[2])["images"] == LINKS


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, to make a certificate")
def test_a_tunnel_that_breaks_after_the_submission_leaves_the_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The usual proxy of an office: the service, behind CONNECT and TLS, took the whole submission."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    kind = (
        "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=svc.test -addext subjectAltName=DNS:svc.test"
    )
    make = ["openssl", "req", "-x509", *kind.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    submissions: list[bytes] = []

    def tunnel(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection.dup(), server_side=True) as inside:
            submissions.append(whole_request(inside))

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with raw_server(tunnel, whole_request) as (url, received), client_for("https://svc.test") as client:
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(OutcomeUnknownError, match="may have been accepted and charged"):
            client.create_task(LINKS, 1)
    (connect,) = received
    assert connect.startswith(b"CONNECT svc.test:443 ")
    (request,) = submissions
    assert request.startswith(b"POST /batch HTTP/1.1\r\n")
    assert json.loads(request.partition(b"\r\n\r\n")[2])["images"] == LINKS


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


def plain(said: object) -> bytes:
    """JSON as most services write it."""
    return json.dumps(said).encode()


def with_slashes(said: object) -> bytes:
    """JSON as PHP writes it."""
    return plain(said).replace(b"/", b"\\/")


ECHOED = {
    "key pair": ("app-key-0123456789", "secret-9876543210-hunter2", plain),
    "base64": ("AppKey+01/23456789==", "c2VjcmV0/aHVudGVy+Mg==", plain),
    "escaped slashes": ("AppKey+01/23456789==", "c2VjcmV0/aHVudGVy+Mg==", with_slashes),
    "other letters": ("ключ-0123456789", "секрет-9876543210", plain),
    "one begins with the other": ("0123456789ab", "0123456789ab-hunter2", plain),
}


@pytest.mark.parametrize("name", list(ECHOED))
def test_a_key_that_the_service_echoes_is_nowhere_to_be_seen(
    api: HTTPServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither in what an error says, whatever kind of refusal it is, nor in a task."""
    monkeypatch.setattr(client_module, "QUICK_WAIT_S", 0.0)
    key, secret, written = ECHOED[name]
    encoded = base64.b64encode(f"{key}:{secret}".encode()).decode()
    echo = f"no such pair: {key} and {secret}, sent as {encoded}"
    refusal, broken = {"code": 5, "msg": echo}, {"code": 0, "data": {"task_id": echo, "status": echo}}
    done = {"status": "3", "list": [{"image_result": "", "status": "4", "reason": echo}]}
    answers = [(401, refusal), (500, refusal), (503, refusal), (200, refusal), (200, broken)]
    texts = []
    with client_for(api.url_for("").rstrip("/"), app_key=Secret(key), app_secret=Secret(secret)) as client:
        calls = {"/batch": lambda: client.create_task(LINKS, 1), "/result/t": lambda: client.get_task("t")}
        for path, call in calls.items():
            for status, said in answers:
                api.clear()
                api.expect_request(path).respond_with_data(written(said), status=status)
                with pytest.raises(ServiceError) as caught:
                    call()
                texts.append(str(caught.value))
        api.clear()
        api.expect_request("/result/t").respond_with_data(written({"code": 0, "msg": echo, "data": done}))
        task = client.get_task("t")
    texts += [task.message, task.images[0].reason]
    for text in texts:
        assert "no such pair: [key] and [key], sent as [key]" in text
        for hidden in (key, secret, encoded, "hunter2"):
            assert hidden not in text


def test_a_key_that_may_be_part_of_any_word_is_left_in_an_answer(api: HTTPServer) -> None:
    """Test services have keys like "key"; to take it out would break the words, and the links, of every answer."""
    data = {"status": "3", "list": [{"image_result": "https://r.example/keys/secret-1.png"}]}
    api.expect_request("/result/t").respond_with_json({"code": 0, "data": data})
    with client_for(api.url_for("").rstrip("/"), app_key=Secret("key"), app_secret=Secret("secret-1.pn")) as client:
        assert client.get_task("t").images[0].url == "https://r.example/keys/secret-1.png"


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
