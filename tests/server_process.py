"""Server programs on loopback: a port of their own, a log, a start that is waited for, an end that is certain."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import requests

START_S = 60.0
STOP_S = 5.0


def held_port(stack: ExitStack) -> int:
    """Return a port for a server that binds with SO_REUSEPORT, kept from everyone else until the stack ends."""
    # A socket bound in the same way, which never listens, lets the server in, and the system hands the port to nobody.
    holder = stack.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])


def start(command: Sequence[str], log: Path, stack: ExitStack, **environment: str) -> subprocess.Popen[bytes]:
    """Start a program that writes to a log, and stops when the stack ends."""
    values = {**os.environ, **environment}
    with log.open("wb") as stream:
        child = subprocess.Popen(command, env=values, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    stack.callback(_stop, child)
    return child


def wait_for(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when a program answers; raises RuntimeError with all logs of its folder if it ends, or takes too long."""
    deadline = time.monotonic() + START_S
    while not _answers(port):
        if child.poll() is not None or time.monotonic() > deadline:
            logs = "\n".join(f"{path.name}: {path.read_text()}" for path in log.parent.glob("*.log"))
            raise RuntimeError(f"{log.stem} does not come up\n{logs}")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()  # costs less than a request
    except OSError:
        return False
    try:
        requests.get(f"http://127.0.0.1:{port}/", timeout=5)
    except requests.RequestException:
        return False
    return True


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
