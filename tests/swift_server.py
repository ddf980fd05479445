"""A real S3 server on loopback: OpenStack Swift and its S3 interface on one node, from PyPI, for Linux without root."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import requests
from server_process import held_port, start, wait_for

STORAGE = ("account", "container", "object")
QUICK = {"EVENTLET_NO_GREENDNS": "yes"}  # half of what a server imports, and no name is looked up

CLUSTER = "[swift-hash]\nswift_hash_path_suffix = tests\n"
# The timeouts are for a busy machine: after a late answer a node is avoided for a minute, or a listing lacks a name.
SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
workers = 0
user = {user}
log_level = WARNING
conn_timeout = 20
node_timeout = 20
container_update_timeout = 20
[pipeline:main]
pipeline = {pipeline}
[app:{kind}-server]
use = egg:swift#{kind}
"""
S3 = """
account_autocreate = true
[filter:s3api]
use = egg:swift#s3api
location = {region}
storage_domain = s3.localhost
[filter:tempauth]
use = egg:swift#tempauth
user_{key} .admin
[filter:slo]
use = egg:swift#slo
"""


@dataclass(frozen=True)
class S3Server:
    """What a client needs, and what a test does itself, apart from the client under test."""

    endpoint: str
    access_key: str = "studio:tests"
    secret_key: str = "secret-for-tests"
    region: str = "eu-north-1"  # not the one that clients assume: it is part of a signature

    def create_bucket(self, name: str) -> None:
        """Create a bucket; its name has three characters or more."""
        self._request("PUT", f"/{name}")

    def names(self, bucket: str) -> list[str]:
        """What lies in a bucket."""
        listing = ElementTree.fromstring(self._request("GET", f"/{bucket}"))
        assert listing.findtext("{*}IsTruncated") == "false", "more than a thousand names"
        return [key.text or "" for key in listing.findall("{*}Contents/{*}Key")]

    def drop(self, bucket: str, name: str) -> None:
        """Delete an object behind everyone's back."""
        self._request("DELETE", f"/{bucket}/{quote(name)}")

    def _request(self, method: str, path: str) -> bytes:
        date = formatdate(usegmt=True)
        # Signature version 2, which Swift still takes, is one line.
        signature = hmac.digest(self.secret_key.encode(), f"{method}\n\n\n{date}\n{path}".encode(), "sha1")
        authorization = f"AWS {self.access_key}:{base64.b64encode(signature).decode()}"
        headers = {"Date": date, "Authorization": authorization}
        answer = requests.request(method, self.endpoint + path, headers=headers, timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.content


def is_installed() -> bool:
    """Tell whether Swift is there to be run."""
    return sys.platform == "linux" and _program("proxy").is_file()


@contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """Serve from a folder until the block ends."""
    folder = folder.resolve()  # the servers work in /
    with ExitStack() as stack:
        ports = {kind: held_port(stack) for kind in (*STORAGE, "proxy")}  # Swift binds with SO_REUSEPORT
        server = S3Server(f"http://127.0.0.1:{ports['proxy']}")
        _configure(folder, ports, server)
        logs = {kind: folder / f"{kind}.log" for kind in ports}
        children = {kind: start(_command(folder, kind), log, stack, **QUICK) for kind, log in logs.items()}
        for kind, child in children.items():
            wait_for(child, ports[kind], logs[kind])
        yield server


def _command(folder: Path, kind: str) -> list[str]:
    return [sys.executable, str(_program(kind)), str(folder / f"{kind}.conf"), "--verbose"]


def _program(kind: str) -> Path:
    return Path(sys.executable).with_name(f"swift-{kind}-server")


def _configure(folder: Path, ports: dict[str, int], server: S3Server) -> None:
    import pwd  # not on Windows, where is_installed() answers too

    device = folder / "devices" / "one"
    device.mkdir(parents=True)
    try:
        os.setxattr(device, "user.probe", b"1")
    except OSError as error:
        raise RuntimeError(f"{folder}: Swift needs a file system with user extended attributes") from error
    (folder / "swift.conf").write_text(CLUSTER)
    common = {"folder": folder, "user": pwd.getpwuid(os.geteuid()).pw_name}
    for kind in STORAGE:
        text = SERVER.format(kind=kind, port=ports[kind], pipeline=f"{kind}-server", **common)
        (folder / f"{kind}.conf").write_text(text)
        (folder / f"{kind}.ring.gz").write_bytes(_ring(ports[kind]))
    text = SERVER.format(kind="proxy", port=ports["proxy"], pipeline="s3api tempauth slo proxy-server", **common)
    key = f"{server.access_key.replace(':', '_')} = {server.secret_key}"
    (folder / "proxy.conf").write_text(text + S3.format(region=server.region, key=key))


def _ring(port: int) -> bytes:
    # As swift-ring-builder writes it, in nine runs that take longer than the servers: one partition on one device.
    device = {"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "one", "weight": 1.0}
    about = json.dumps({"devs": [device], "part_shift": 32, "replica_count": 1}).encode()
    return gzip.compress(struct.pack("!4sHI", b"R1NG", 1, len(about)) + about + struct.pack("=H", 0))
