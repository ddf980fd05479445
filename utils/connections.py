"""What requests speaks through: connections to checked addresses only, which read no endless line and can be cut."""

from __future__ import annotations

import http.client
import io
import os
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.retry import Retry

from .addresses import ENVIRONMENT, Policy, addresses_of, is_own
from .errors import UnreachableError
from .logs import redact_libraries

CONNECT_TIMEOUT_S = 10.0
LONGEST_LINE = 65536  # as http.client has it for headers


class Guard:
    """Opens the connections of one session to addresses that a policy allows; `cut` ends them, whatever they do."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._is_cut = False

    def connect(self, host: str, port: int, timeout_s: float | None) -> socket.socket:
        """Return a connection to the first address of a host that answers.

        The name is resolved here, once, and what was checked is what is connected to: a second answer of its DNS
        server (rebinding) is never asked for. Raises as `addresses_of`, or OSError.
        """
        problem: OSError = OSError(f"{host} has no address")
        for family, address in addresses_of(host, port, self._policy):
            try:
                return self._connected(family, address, timeout_s)
            except OSError as error:  # a machine without IPv6 has no such sockets
                problem = error
        raise problem

    def _connected(self, family: int, address: Any, timeout_s: float | None) -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._keep(connection)
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection

    def cut(self) -> None:
        """End every connection at once, also in the middle of a handshake or a header."""
        with self._lock:
            self._is_cut = True
            for handle in self._handles:
                with suppress(OSError):  # it never got that far, or has ended
                    handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Forget the connections; who uses them closes them."""
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                raise TimeoutError
            self._handles.append(connection.dup())  # TLS takes the first one over


class PlainSession(requests.Session):
    """A session without credentials of this machine, which leaves redirects to its caller.

    `allow_redirects=False` alone would still read their bodies, and a .netrc would log in. With a guard, every
    connection is opened by it, except to a proxy.
    """

    def __init__(self, guard: Guard | None = None, retry: Retry | None = None) -> None:
        super().__init__()
        redact_libraries()
        self.auth = lambda request: request  # somebody, so that .netrc is not asked
        self.headers["User-Agent"] = "portrait-cartoonize"  # many hosts refuse a library's own name
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # none: they ignore ports, and outlive a hop
        self._guard = guard
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(guard, retry or Retry(0, redirect=False)))

    def route(self, url: str, policy: Policy) -> bool:
        """Choose between a direct connection and a proxy for a URL, and return whether it is a proxy.

        A proxy resolves names itself, so it is used only where the policy says so; what can be checked here still is.
        """
        proxies = _proxies(url, policy)
        self.trust_env, self.proxies = False, proxies
        # what `trust_env` does besides: the certificates of an organisation
        self.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        if is_proxied := select_proxy(url, proxies) is not None:
            parts = urlsplit(url)
            with suppress(UnreachableError):  # behind a proxy, names from outside often lead nowhere
                addresses_of(parts.hostname or "", parts.port or 443, policy)
        return is_proxied

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None

    def close(self) -> None:
        """Close the connections."""
        super().close()
        if self._guard is not None:
            self._guard.close()


def _proxies(url: str, policy: Policy) -> dict[str, str]:
    if not policy.proxy or is_own(url, policy):
        return {}
    return dict(get_environ_proxies(url)) if policy.proxy == ENVIRONMENT else {"all": policy.proxy}


class _Adapter(HTTPAdapter):
    def __init__(self, guard: Guard | None, retry: Retry) -> None:
        self._guard = guard
        super().__init__(max_retries=retry)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        plain, encrypted = partial(_Connection, guard=self._guard), partial(_EncryptedConnection, guard=self._guard)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": staticmethod(plain)}),
            "https": type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": staticmethod(encrypted)}),
        }


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = self._lines = _Lines(self.fp.detach())

    def begin(self) -> None:
        self._lines.is_head = True
        super().begin()
        self._lines.is_head = False


class _Lines(io.BufferedReader):
    """Ends lines that never end, and notices headers that break off and chunks that cannot be.

    http.client limits the lines of headers, not those between chunks, and takes a lost connection for their end.
    """

    is_head = False
    _is_first = True  # http.client has an error of its own for no answer at all

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size if size is not None and size >= 0 else LONGEST_LINE + 1)
        is_first, self._is_first = self._is_first, False
        if len(line) > LONGEST_LINE:
            raise http.client.LineTooLong("line")  # noqa: EM101  # its argument is what the line is, not a text
        if self.is_head and not is_first and not line.endswith(b"\n"):
            raise http.client.IncompleteRead(line)
        # a chunk of negative length would be read as "all that is to come"
        if not self.is_head and line.lstrip().startswith(b"-"):
            raise http.client.IncompleteRead(line)
        return line


class _Connection(HTTPConnection):
    """`_new_conn` is the one place where urllib3 connects; what it is called for keeps the name.

    So the Host header, SNI and the certificate's name are those of the URL.
    """

    response_class = _Response

    def __init__(self, *args: Any, guard: Guard | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._guard = guard

    def _new_conn(self) -> socket.socket:
        if self._guard is None:
            return super()._new_conn()
        try:
            connection = self._guard.connect(self._dns_host, self.port, self.timeout)
        except TimeoutError as error:
            msg = f"no connection within {self.timeout:g} s"
            raise ConnectTimeoutError(self, msg) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        sys.audit("http.client.connect", self, self.host, self.port)
        return connection


class _EncryptedConnection(_Connection, HTTPSConnection):
    pass
