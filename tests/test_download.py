"""The guarded download: addresses, redirects, sizes and times, against real local servers."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from cartoonize_pack.utils.addresses import Policy, addresses_of, check_url, is_public
from cartoonize_pack.utils.download import fetch
from cartoonize_pack.utils.errors import InputError, UnreachableError
from pytest_httpserver import HTTPServer

BODY = b"pixels" * 100


def check_address(url: str, policy: Policy) -> None:
    """What a download looks at before it connects."""
    check_url(url, policy)
    parts = urlsplit(url)
    addresses_of(parts.hostname or "", parts.port or 443, policy)


def own(api: HTTPServer) -> Policy:
    """A policy under which the scripted server is the pack's own address."""
    return Policy(own_address=api.url_for("").rstrip("/"))


def get(url: str, policy: Policy, max_bytes: int = 10_000, total_s: float = 10.0) -> bytes:
    """One download."""
    return fetch(url, policy, max_bytes=max_bytes, total_s=total_s)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07::1", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.100.100.200", False),
        ("0.0.0.0", False), ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("fe80::1%eth0", False),
        ("fd00:ec2::254", False), ("::ffff:127.0.0.1", False), ("::ffff:93.184.215.14", True), ("ff0e::1", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b::5db8:d70e", True), ("2002:7f00:1::", False), ("::127.0.0.1", False),
        ("192.0.2.1", False),
    ],
)  # fmt: skip
def test_public_is_what_the_internet_routes(address: str, public: bool) -> None:
    """Mapped and NAT64 forms are judged by the address inside."""
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://h.test/a", "gopher://h.test", "data:image/png;base64,AA==", "//h.test/a", "a.png",
        "https://user@h.test/a", "https://u:p@h.test/a", "http://127.0.0.1/a", "https://127.0.0.1/a", "https://[::1]/a",
        "https://2130706433/a", "https://0x7f000001/a", "https://127.1/a", "https://localhost/a", "https://10.0.0.1/a",
        "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/a", "https://[h.test/a", "https://h.test:99999/a",
    ],
)  # fmt: skip
def test_hostile_addresses_are_refused_before_any_request(url: str) -> None:
    """Decimal, hex and short spellings are resolved like any other name."""
    with pytest.raises(InputError, match="is not fetched"):
        check_address(url, Policy(allow_http=True))


def test_plain_http_needs_leave_and_private_hosts_need_their_name() -> None:
    """Both exceptions are the operator's."""
    with pytest.raises(InputError, match="not encrypted.*CARTOONIZE_ALLOW_HTTP"):
        check_address("http://93.184.215.14/a", Policy())
    check_address("http://93.184.215.14/a", Policy(allow_http=True))
    check_address("https://10.0.0.1/a", Policy(allow_hosts=("10.0.0.1",)))
    with pytest.raises(InputError, match="not encrypted"):
        check_address("http://10.0.0.1/a", Policy(allow_hosts=("10.0.0.1",)))


def test_the_own_address_is_one_address_and_not_its_beginning() -> None:
    """Port 81 is not port 8123."""
    policy = Policy(own_address="http://127.0.0.1:81")
    check_address("http://127.0.0.1:81/files/a", policy)
    with pytest.raises(InputError):
        check_address("http://127.0.0.1:8123/files/a", policy)


def test_redirects_are_followed_and_lose_their_cookies(api: HTTPServer) -> None:
    """Up to five; the last address is what counts."""
    api.expect_ordered_request("/a").respond_with_data(
        "x" * 5000, status=302, headers={"Location": "/b", "Set-Cookie": "id=1; Path=/"}
    )
    api.expect_ordered_request("/b").respond_with_data(BODY)
    assert get(api.url_for("/a"), own(api)) == BODY
    assert "Cookie" not in api.log[1][0].headers


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("/loop", "more than 5 redirects"),
        ("http://127.0.0.1:9/private", "is not fetched"),
        ("http://169.254.169.254/latest", "is not fetched"),
        ("file:///etc/passwd", "is not fetched"),
    ],
)
def test_a_redirect_leads_nowhere_that_is_not_allowed(api: HTTPServer, location: str, error: str) -> None:
    """Every hop is checked anew; a ring ends."""
    api.expect_request("/loop").respond_with_data("", status=302, headers={"Location": location})
    with pytest.raises(InputError, match=error):
        get(api.url_for("/loop"), own(api))


def test_what_is_too_large_or_compressed_is_refused(api: HTTPServer) -> None:
    """A small file that unpacks to a large one is not even begun."""
    api.expect_request("/large").respond_with_data(b"x" * 20_000)
    zipped = gzip.compress(b"x" * 5_000_000)
    api.expect_request("/zipped").respond_with_data(zipped, headers={"Content-Encoding": "gzip"})
    for path, words in (("/large", "more than the 10000 bytes"), ("/zipped", r"compressed \(gzip\)")):
        with pytest.raises(InputError, match=words):
            get(api.url_for(path), own(api))


@pytest.mark.parametrize("status", [204, 403, 404, 410, 500])
def test_anything_but_200_is_no_picture(api: HTTPServer, status: int) -> None:
    """The status is named, the query of the link is not."""
    api.expect_request("/a").respond_with_data("", status=status)
    with pytest.raises(UnreachableError, match=f"HTTP {status}") as caught:
        get(api.url_for("/a") + "?signature=hunter2", own(api))
    assert "hunter2" not in str(caught.value)
    assert caught.value.http_status == status


@pytest.mark.parametrize("where", ["before the headers", "in the headers", "in the body"])
def test_a_download_ends_in_its_time(where: str) -> None:
    """Silence and drips alike: every byte starts the socket's own timeout anew, the total does not."""
    done = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n"
    start = {"before the headers": b"", "in the headers": head, "in the body": head + b"\r\n"}[where]

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(start)
            while not done.wait(0.02):
                if start:
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        begun = time.monotonic()
        try:
            with pytest.raises(UnreachableError, match="too slow"):
                get(url + "/a", Policy(own_address=url), total_s=0.3)
            assert time.monotonic() - begun < 3
        finally:
            done.set()
            thread.join()


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that answers one request with these bytes; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_a_body_that_is_cut_short_is_noticed() -> None:
    """Fewer bytes than declared are no picture."""
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc") as url,
        pytest.raises(UnreachableError, match="stopped in the middle"),
    ):
        get(url + "/a", Policy(own_address=url))


def test_a_redirect_to_a_broken_address_is_an_error_of_ours() -> None:
    """Not the library's: a bare ValueError would cost the pictures beside it."""
    with (
        answering(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n") as url,
        pytest.raises(InputError, match="cannot be read"),
    ):
        get(url + "/a", Policy(own_address=url))
