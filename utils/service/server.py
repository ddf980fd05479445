"""Starting and stopping the embedded service: an event loop of its own in a background thread."""

from __future__ import annotations

import asyncio
import atexit
import logging
import secrets
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from ..addresses import Policy, ip_of
from ..config import Profile
from ..errors import ConfigurationError
from ..home import ensure_home
from ..logs import logger, redact_libraries
from ..secret import Secret
from .app import Service
from .door import Door
from .jobs import JobTable
from .limits import OWN_USE, ServiceLimits
from .pictures import PictureStore
from .workers import Workers

SHORTEST_SECRET = 16  # characters, beyond loopback
_log = logger(__name__)
_no_requests = logging.getLogger(f"{__name__}.requests")  # a traceback for each that aiohttp cannot read is no log
_no_requests.setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Options:
    """How to run: where state lives, where to listen (port 0 takes any free one), the key pair, what may be fetched.

    `names` are those of this machine under which it may be asked, `public_url` is what stands in front of results.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 0
    app_key: Secret | None = None
    app_secret: Secret | None = None
    policy: Policy = Policy(allow_http=True)
    workers: int | None = None
    limits: ServiceLimits = OWN_USE
    names: tuple[str, ...] = ()
    public_url: str = ""

    def problem(self) -> str:
        """Return why this must not run, in words: whoever reaches it from elsewhere needs a key that nobody guesses."""
        ip = ip_of(self.host)
        if self.host == "localhost" or (ip is not None and ip.is_loopback):
            return ""
        if not self.app_key or not self.app_secret:
            return f"{self.host} can be reached from elsewhere: the service needs a key pair of its own there."
        if len(self.app_secret.reveal()) < SHORTEST_SECRET:
            return (
                f"{self.host} can be reached from elsewhere: the secret must have at least {SHORTEST_SECRET} "
                f"characters, for instance {secrets.token_urlsafe(24)}"
            )
        return ""


class Server:
    """One running service; `stop()` finishes or hands back what is being drawn and frees the port."""

    def __init__(self, options: Options) -> None:
        self._options = options
        if problem := options.problem():
            raise ConfigurationError(problem)
        self.app_key = options.app_key or Secret(secrets.token_urlsafe(24))
        self.app_secret = options.app_secret or Secret(secrets.token_urlsafe(24))
        folder = ensure_home(options.home) / "service"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self.pictures = PictureStore(folder / "pictures")
            self._jobs = JobTable(folder / "jobs.sqlite3")
        except (OSError, sqlite3.Error) as error:
            msg = (
                f"The embedded service cannot use its folder {folder}: {error}. Make it writable, set CARTOONIZE_HOME "
                "to another folder, or, if jobs.sqlite3 is damaged, move it away. Nothing was sent."
            )
            raise ConfigurationError(msg) from error
        self._workers = Workers(self._jobs, self.pictures, options.policy, options.workers)
        self._loop = asyncio.new_event_loop()
        # Its own, because the loop's default one cannot be shut down while the interpreter ends.
        self._executor = ThreadPoolExecutor(2, "cartoonize-jobs")
        self._loop.set_default_executor(self._executor)
        self._thread = threading.Thread(target=self._loop.run_forever, name="cartoonize-service", daemon=True)
        self._runner: web.AppRunner | None = None
        self._socket: asyncio.Server | None = None
        self._service: Service | None = None
        self.base_url = ""

    def start(self) -> None:
        """Listen and draw; raises ConfigurationError when the address cannot be used."""
        redact_libraries()
        self._thread.start()
        try:
            port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(timeout=30)
        except (OSError, OverflowError) as error:
            self._end_loop()
            self._jobs.close()
            msg = f"Cannot listen on {self._options.host}:{self._options.port}: {error}."
            raise ConfigurationError(msg) from error
        shown_host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        self.base_url = f"http://{shown_host}:{port}"
        self._workers.start()
        _log.info("embedded service at %s, state in %s", self.base_url, self._options.home)

    def stop(self) -> None:
        """Finish open requests, stop drawing, free the port; the jobs stay and go on at the next start."""
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._stop_listening(self._runner), self._loop).result(timeout=30)
            self._runner = None
        self._end_loop()
        self._workers.stop()
        self._jobs.close()

    def filled_in(self, profile: Profile) -> Profile:
        """Return a local profile with this server's addresses and key pair."""
        return replace(
            profile,
            create_url=f"{self.base_url}/v1/{profile.style}/batch",
            result_url=f"{self.base_url}/v1/{profile.style}/result/{{task_id}}",
            app_key=self.app_key,
            app_secret=self.app_secret,
        )

    async def _listen(self) -> int:
        options = self._options
        door = Door(self.app_key, self.app_secret, options.limits, options.names)
        service = Service(self._jobs, self.pictures, self._workers, door, options.limits, options.public_url)
        self._service = service
        runner = web.AppRunner(
            service.application(),
            handle_signals=False,
            shutdown_timeout=2,
            access_log=None,
            keepalive_timeout=options.limits.idle_s,
            logger=_no_requests,
        )
        await runner.setup()
        assert runner.server is not None  # noqa: S101  # for the type checker: `setup` has made it
        try:
            protocol = service.listen_through(runner.server)
            self._socket = await self._loop.create_server(protocol, options.host, options.port)
        except (OSError, OverflowError):
            await runner.cleanup()
            raise
        self._runner = runner
        return int(self._socket.sockets[0].getsockname()[1])

    async def _stop_listening(self, runner: web.AppRunner) -> None:
        if self._socket is not None:
            self._socket.close()
        await runner.cleanup()
        if self._service is not None:
            self._service.end_connections()
        # aiohttp still listens to the rest of bodies that it has refused
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=2)

    def _end_loop(self) -> None:
        if self._loop.is_closed():
            return
        self._executor.shutdown(wait=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_running: dict[Path, Server] = {}
_running_lock = threading.Lock()


def embedded(home: Path, policy: Policy) -> Server:
    """Return the process's one server for a state folder, started on first use and stopped when the process ends."""
    home = home.resolve()
    with _running_lock:
        if home not in _running:
            server = Server(Options(home, policy=policy))
            server.start()
            _running[home] = server
            atexit.register(stop_embedded, home)
        return _running[home]


def stop_embedded(home: Path) -> None:
    """Stop the server of a state folder, if it runs."""
    with _running_lock:
        server = _running.pop(home.resolve(), None)
    if server is not None:
        server.stop()
