"""The HTTP face of the embedded service: the documented API, and the pictures.

POST /v1/{style}/batch              create a task
GET  /v1/{style}/result/{task_id}   ask for it (any style's address knows every task)
GET  /files/{name}                  a picture, by its unguessable name, until it expires
GET  /openapi.json                  the description of all this
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import HttpVersion10, web

from ..config import STYLES
from ..errors import InputError
from ..logs import logger
from . import access_log
from .door import Door, Refusal
from .jobs import JobTable, QueueFull
from .limits import ServiceLimits
from .messages import parse_body, place, shown
from .openapi import description
from .pictures import PictureStore
from .serving import picture_response
from .sockets import Sockets
from .workers import Workers

_PUBLIC = ("file", "description")  # routes that need no key pair
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_log = logger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """The handlers over one job table and one picture store.

    `public_url` stands in front of the links of results; empty for the name under which each request asks.
    """

    def __init__(
        self,
        jobs: JobTable,
        pictures: PictureStore,
        workers: Workers,
        door: Door,
        limits: ServiceLimits,
        public_url: str = "",
    ) -> None:
        self._jobs = jobs
        self._pictures = pictures
        self._workers = workers
        self._door = door
        self._limits = limits
        self._public_url = public_url.rstrip("/")
        self._sockets: Sockets | None = None

    def application(self) -> web.Application:
        """Return the aiohttp application."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guarded(request, handler)

        app = web.Application(client_max_size=self._limits.max_body_bytes, middlewares=[guard])
        app.router.add_post("/v1/{style}/batch", self._create)
        app.router.add_get("/v1/{style}/result/{task_id}", self._result)
        app.router.add_get("/files/{name}", self._file, name="file")
        app.router.add_get("/openapi.json", self._description, name="description")
        return app

    def listen_through(self, inner: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return what makes the protocol of each connection: aiohttp's, under the deadlines of the limits."""
        self._sockets = Sockets(inner, self._limits)
        return self._sockets.protocol

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer within the limits, every refusal in the documented shape, and log it."""
        begun = asyncio.get_running_loop().time()
        self._allow(request, self._limits.request_s)
        response: web.StreamResponse | None = None
        try:
            found = self._refusal(request)
            response = refusal(found.status, found.words, found.wait_s) if found else await handler(request)
        except web.HTTPException as error:
            response = refusal(error.status, error.reason, headers=_allowed_methods(error))
        except asyncio.TimeoutError:  # another class than TimeoutError in Python 3.10
            response = refusal(408, f"the request did not arrive within {self._limits.body_s:g} s")
        except (ConnectionError, web.RequestPayloadError):  # whoever asked has gone
            response = refusal(400, "the request broke off")
        except Exception as error:  # noqa: BLE001  # one request must not cost the others; the log has the rest
            _log.exception("answering a request failed")
            response = refusal(500, f"internal error: {type(error).__name__}")
        finally:
            if not isinstance(response, web.FileResponse):  # the transfer of a file only begins now
                self._allow(request, self._limits.idle_s)
            seconds = asyncio.get_running_loop().time() - begun
            access_log.write(request, 500 if response is None else response.status, seconds)
        return response

    def _allow(self, request: web.Request, seconds: float) -> None:
        if self._sockets is not None:
            self._sockets.allow(request.transport, seconds)

    def _refusal(self, request: web.Request) -> Refusal | None:
        if request.version < HttpVersion10:
            return Refusal(400, "HTTP/1.0 or newer is spoken here")
        name = request.match_info.route.name
        if name == "file":  # whoever has a name may fetch; who guesses is slowed down there
            return None
        if refused := self._door.pace(request.remote or ""):
            return refused
        if name in _PUBLIC:
            return None
        if refused := self._door.key_pair(request.headers.get("Authorization", "")):
            return refused
        if request.match_info.get("style", STYLES[0]) not in STYLES:
            return Refusal(404, f"there is no such style; there are: {', '.join(STYLES)}")
        if self._public_url:
            return None
        # an absolute address in the request line names a host, too
        return self._door.host(request.headers.get("Host", "")) or self._door.host(request.host)

    def end_connections(self) -> None:
        """End all that are still open."""
        if self._sockets is not None:
            self._sockets.abort_all()

    async def _create(self, request: web.Request) -> web.Response:
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return refusal(415, "the body must not be compressed")
        body = await asyncio.wait_for(request.read(), self._limits.body_s)
        try:
            links, priority = parse_body(body)
        except InputError as error:
            return refusal(400, str(error))
        style, most = request.match_info["style"], self._limits.max_queued_images
        if len(links) > most:
            return refusal(413, f"nothing was accepted: at most {most} pictures may wait at all")
        try:
            task_id = await asyncio.to_thread(self._jobs.accept, style, links, priority, most)
        except QueueFull as error:
            wait_s = await asyncio.to_thread(self._jobs.wait_of_queue_s, self._workers.count)
            words = f"nothing was accepted: {error.waiting} pictures wait to be drawn, and at most {most} may"
            return refusal(503, words, wait_s)
        except sqlite3.Error as error:
            _log.warning("the embedded service cannot write its job table: %s", error)
            return refusal(503, f"nothing was accepted: the job table cannot be written ({error})")
        self._workers.wake()
        return web.json_response({"code": 0, "msg": "", "data": {"task_id": task_id}}, headers=_HEADERS)

    async def _result(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        try:
            state = await asyncio.to_thread(self._jobs.state, task_id, self._workers.count)
        except sqlite3.Error as error:
            _log.warning("the embedded service cannot read its job table: %s", error)
            return refusal(503, f"the job table cannot be read ({error})")
        if state is None:
            return refusal(404, "there is no such task")
        base_url = self._public_url or f"http://{request.headers['Host']}"
        answer = {"code": 0, "msg": place(state), "data": shown(state, base_url)}
        return web.json_response(answer, headers=_HEADERS)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = self._pictures.path(request.match_info["name"])
        if path is None:
            if refused := self._door.pace(request.remote or ""):
                return refusal(refused.status, refused.words, refused.wait_s)
            return refusal(404, "there is no such picture, or its link has expired")
        return picture_response(path)

    async def _description(self, request: web.Request) -> web.Response:
        return web.json_response(description(), headers=_HEADERS)


def refusal(status: int, message: str, wait_s: int = 0, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a refusal in the documented shape: a `code` other than 0, and a message."""
    waits = {"Retry-After": str(wait_s)} if wait_s else {}
    answer = {"code": status, "msg": message, "data": None}
    return web.json_response(answer, status=status, headers={**_HEADERS, **waits, **(headers or {})})


def _allowed_methods(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
