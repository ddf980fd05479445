"""Proxies are an explicit choice for what is fetched from outside: a proxy resolves names where nobody checks them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from cartoonize_pack.utils import config
from cartoonize_pack.utils.addresses import ENVIRONMENT, Policy
from cartoonize_pack.utils.download import fetch
from cartoonize_pack.utils.errors import InputError, UnreachableError
from node_calls import SUBMIT, execute
from scripted_service import ScriptedService

BODY = b"pixels"


class Proxy:
    """Answers every request itself, and remembers the first line of each."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.lines: list[str] = []

    def serve(self) -> None:
        """Answer until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.lines.append(connection.recv(65536).decode().partition("\r\n")[0])
                    length = f"Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
                    connection.sendall(b"HTTP/1.1 200 OK\r\n" + length.encode() + BODY)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener)
        thread = threading.Thread(target=proxy.serve)
        thread.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def get(url: str, policy: Policy) -> bytes:
    """One download."""
    return fetch(url, policy, max_bytes=1000, total_s=5)


def test_a_proxy_of_the_environment_is_not_used_unasked_and_named(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of somebody behind a proxy says which switch there is."""
    monkeypatch.setenv("http_proxy", proxy.url)
    with pytest.raises(UnreachableError, match="names a proxy, which downloads use only with CARTOONIZE_PROXY"):
        get("http://127.0.0.9:9/a", Policy(allow_http=True, allow_hosts=("127.0.0.9",)))
    assert not proxy.lines


@pytest.mark.parametrize("by", ["address", "environment"])
def test_a_proxy_that_is_asked_for_is_used(by: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its address, or as the environment says; names that lead nowhere here are the proxy's business."""
    if by == "environment":
        monkeypatch.setenv("http_proxy", proxy.url)
    policy = Policy(allow_http=True, proxy=ENVIRONMENT if by == "environment" else proxy.url)
    assert get("http://pictures.invalid/a.png?x=1", policy) == BODY
    assert proxy.lines == ["GET http://pictures.invalid/a.png?x=1 HTTP/1.1"]


def test_hosts_that_the_environment_excepts_are_reached_directly(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY holds, and so does the check of addresses."""
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "localhost")
    with pytest.raises(InputError, match="private address"):
        get("http://localhost/a.png", Policy(allow_http=True, proxy=ENVIRONMENT))
    assert not proxy.lines


@pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.1", "localhost", "[::1]", "2130706433"])
def test_what_is_private_here_is_not_asked_of_a_proxy(host: str, proxy: Proxy) -> None:
    """As far as that can be seen from here."""
    with pytest.raises(InputError, match="private address"):
        get(f"http://{host}/a", Policy(allow_http=True, proxy=proxy.url))
    assert not proxy.lines


def test_the_pack_reaches_its_own_service_without_a_proxy(proxy: Proxy) -> None:
    """Loopback is not what a proxy is for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = Proxy(listener)
        thread = threading.Thread(target=own.serve)
        thread.start()
        assert get(f"{own.url}/files/a", Policy(own_address=own.url, proxy=proxy.url)) == BODY
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert own.lines == ["GET /files/a HTTP/1.1"]
    assert not proxy.lines


@pytest.mark.usefixtures("host")
def test_links_on_trial_go_through_the_proxy_that_is_asked_for(
    proxy: Proxy, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is behind a proxy cannot be checked without it."""
    monkeypatch.setenv("CARTOONIZE_CHECK_LINKS", "1")
    monkeypatch.setenv("CARTOONIZE_PROXY", proxy.url)
    with pytest.raises(InputError, match="leads to no picture"):
        execute(SUBMIT, image_urls="http://pictures.invalid/1.png")
    assert proxy.lines == ["GET http://pictures.invalid/1.png HTTP/1.1"]
    assert not service.submissions


def test_the_environment_and_the_file_choose_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile's own choice comes first."""
    monkeypatch.setenv("CARTOONIZE_PROXY", ENVIRONMENT)
    settings = config.load()
    settings.home.mkdir(parents=True)
    (settings.home / "config.toml").write_text('[profiles.studio]\nproxy = "http://proxy.test:3128"\n')
    profiles = config.load().profiles
    assert (profiles["local"].proxy, profiles["studio"].proxy) == (ENVIRONMENT, "http://proxy.test:3128")
