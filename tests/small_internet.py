"""A small internet on loopback: names, public addresses, a web site in plain and in TLS, and a record of every dial.

What is tested keeps all of its guards: addresses are resolved, judged and connected to as anywhere. Only the wire ends
elsewhere: `connect` to an address of PLACES ends at a local server, and to any other address it is an error, after it
has been written down. So nothing leaves this machine, and that nothing was dialled is seen, not assumed.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PUBLIC, PUBLIC_2, PUBLIC_6 = "93.184.215.14", "198.41.0.4", "2606:2800:21f:cb07::1"  # never really dialled
DEAD = "192.0.32.8"  # public, and nobody answers there
NAS, PRINTER = "10.0.0.5", "10.0.0.6"  # private: for somebody who may go there
OWN, OWN_PORT = "127.0.0.1", 8123  # the embedded service
PLACES = (PUBLIC, PUBLIC_2, PUBLIC_6, NAS, PRINTER)
METADATA = "169.254.169.254"
BODY = b"pixels" * 100
PATIENCE_S = 5.0  # for what happens at once; only a broken test waits that long

Answers = list[str] | Callable[[], list[str]]
NAMES: dict[str, Answers] = {
    "good.test": [PUBLIC], "other.test": [PUBLIC_2], "xn--caf-dma.test": [PUBLIC], "six.test": [PUBLIC_6],
    "wrong.test": [PUBLIC], "selfsigned.test": [PUBLIC], "expired.test": [PUBLIC], "unknown.test": [PUBLIC],
    "two.test": [DEAD, PUBLIC], "nas.test": [NAS], "xn--drcker-4ya.test": [PRINTER],
    # private ones
    "localhost.": ["127.0.0.1"], "127.0.0.1.": ["127.0.0.1"], "ip6-localhost": ["::1"], "router": ["192.168.1.1"],
    "127.0.0.1.nip.io": ["127.0.0.1"], "7f000001.nip.io": ["127.0.0.1"], "10-0-0-5.sslip.io": ["10.0.0.5"],
    "localtest.me": ["127.0.0.1"], "metadata.google.internal": [METADATA], "metadata": [METADATA],
    "instance-data": [METADATA], "instance-data.ec2.internal": [METADATA], "metadata.tencentyun.com": ["169.254.0.23"],
    "metadata.azure.internal": [METADATA], "kubernetes": ["10.96.0.1"], "kubernetes.default.svc": ["10.96.0.1"],
    "kubernetes.default.svc.cluster.local": ["10.96.0.1"], "host.docker.internal": ["192.168.65.2"],
    "xn--bcher-kva.corp.test": ["10.0.0.9"], "six.corp.test": ["fd00:ec2::254"], "mapped.test": ["::ffff:10.0.0.1"],
    "nat64.test": ["64:ff9b::a9fe:a9fe"], "public-then-private.test": [PUBLIC, "10.0.0.1"],
    "private-then-public.test": ["10.0.0.1", PUBLIC], "public-4-private-6.test": [PUBLIC, "::1"],
    "sub.nas.test": ["10.0.0.7"], "xnas.test": ["10.0.0.7"], "nas.test.evil.test": ["10.0.0.7"],
    "127.0.0.1.evil.test": ["127.0.0.1"], "evil.test": ["127.0.0.1"],
}  # fmt: skip


class Site:
    """A server that says to each request what is written down for its path, else BODY; keeps what it was asked.

    With contexts it speaks TLS: under each name with its own certificate, under others with that of the name "".
    """

    def __init__(self, contexts: Mapping[str, ssl.SSLContext] | None = None) -> None:
        self.answers: dict[str, bytes] = {}
        self.requests: list[str] = []  # their heads
        self.server_names: list[str] = []  # asked for in TLS
        self._contexts = contexts or {}
        context = self._contexts.get("")
        if context is not None:
            context.sni_callback = self._choose
        self._server = _Server(self, context)
        self.port = int(self._server.server_address[1])

    @property
    def paths(self) -> list[str]:
        """What was asked for."""
        return [request.split()[1] for request in self.requests]

    def forget(self) -> None:
        """Forget what was written down and what was asked."""
        for record in (self.answers, self.requests, self.server_names):
            record.clear()  # type: ignore[attr-defined]

    @contextmanager
    def running(self) -> Iterator[Site]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def answer(self, connection: socket.socket) -> None:
        """Answer one request."""
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                return
            head += part
        self.requests.append(head.decode("latin-1"))
        fine = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(BODY)
        connection.sendall(self.answers.get(self.paths[-1], fine + b"Connection: close\r\n\r\n" + BODY))

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        self.server_names.append(name or "")
        if name in self._contexts:
            connection.context = self._contexts[name]


class _Server(socketserver.TCPServer):
    allow_reuse_address = True

    def __init__(self, site: Site, context: ssl.SSLContext | None) -> None:
        self._site, self._context = site, context
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(PATIENCE_S)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError):  # a client that does not like the certificate, or the answer
            if isinstance(request, ssl.SSLSocket):
                request.do_handshake()
            self._site.answer(request)


class Internet:
    """The names and addresses that a test sees; `dialled` and `looked_up` are what was connected to and resolved."""

    def __init__(self, plain: Site, encrypted: Site) -> None:
        self.plain, self.encrypted = plain, encrypted
        self.names: dict[str, Answers] = dict(NAMES)
        self.ports = {80: plain.port, 8080: plain.port, 443: encrypted.port, 8443: encrypted.port}
        self.dialled: list[tuple[str, int]] = []
        self.looked_up: list[str] = []
        self._resolve, self._connect = socket.getaddrinfo, socket.socket.connect

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Internet:
        """Stand in for the resolver and for the wire of this process."""

        def connect(connection: socket.socket, address: tuple[Any, ...]) -> None:
            self.dialled.append(address[:2])
            self._connect(connection, self._routed(address))

        monkeypatch.setattr(socket, "getaddrinfo", self._addresses)
        monkeypatch.setattr(socket.socket, "connect", connect)
        return self

    def forget(self) -> None:
        """Forget what happened so far."""
        self.dialled.clear()
        self.looked_up.clear()
        self.plain.forget()
        self.encrypted.forget()

    def _routed(self, address: tuple[Any, ...]) -> tuple[Any, ...]:
        host, port, *rest = address
        if (host, port) == (OWN, OWN_PORT):
            return host, self.plain.port
        if host not in PLACES or port not in self.ports:
            msg = f"nobody is at {host}:{port} of the small internet"
            raise ConnectionRefusedError(msg)
        return ("::ffff:127.0.0.1" if rest else "127.0.0.1", self.ports[port], *rest)

    def _addresses(self, host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        """Resolve as the system does where no server of names is needed: literals in all spellings, and localhost."""
        self.looked_up.append(host)
        name = host.lower()
        found = self.names.get(name) or self.names.get(name.removesuffix("."))
        if found is None:
            flags = 0 if name == "localhost" else socket.AI_NUMERICHOST
            return self._resolve(host, port, *args, **{**options, "flags": flags})
        return [_entry(address, port) for address in (found() if callable(found) else found)]


def can_dial_6() -> bool:
    """Whether this machine can connect to an IPv4 server as IPv6 does."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as connection,
        ):
            connection.connect(("::ffff:127.0.0.1", listener.getsockname()[1], 0, 0))
            return True
    except OSError:
        return False


def _entry(address: str, port: int) -> tuple[Any, ...]:
    is_6 = ":" in address
    where = (address, port, 0, 0) if is_6 else (address, port)
    return socket.AF_INET6 if is_6 else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where


# --- certificates -----------------------------------------------------------------------------------------------------


class Authority:
    """Issues certificates into a folder; `file` is what trusts it."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(_pem(self._signed(self._name, self._key, x509.BasicConstraints(True, None), days=1)))

    def context(self, *names: str, days: int = 1, is_self_signed: bool = False) -> ssl.SSLContext:
        """What a server needs to speak TLS under these names, until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        signer = (subject, key) if is_self_signed else (self._name, self._key)
        shown = x509.SubjectAlternativeName([_general(name) for name in names])
        certificate = self._signed(subject, key, x509.BasicConstraints(False, None), shown, signer=signer, days=days)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{names[0]}.pem"
        file.write_bytes(_pem(certificate) + secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        *extensions: x509.ExtensionType,
        signer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None,
        days: int,
    ) -> x509.Certificate:
        issuer, issuer_key = signer or (self._name, self._key)
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        is_authority = constraints.ca
        usage = x509.KeyUsage(not is_authority, *[False] * 4, is_authority, is_authority, False, False)
        builder = (
            x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(end - datetime.timedelta(days=10))
            .not_valid_after(end)
            .add_extension(constraints, critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if re.search(r"^[0-9.]+$|:", name) else x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
