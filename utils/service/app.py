"""The HTTP face of the embedded service: the documented API, and the pictures.

POST /v1/{style}/batch              create a task
GET  /v1/{style}/result/{task_id}   ask for it (any style's address knows every task)
GET  /files/{name}                  a picture, by its unguessable name, until it expires
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable

from aiohttp import web

from ..config import STYLES
from ..contract import Limits, TaskStatus, build_request
from ..errors import InputError
from ..secret import Secret
from .jobs import JobTable
from .pictures import PictureStore
from .serving import picture_response
from .states import ImageState, TaskState
from .workers import Workers

MAX_BODY_BYTES = 1_000_000
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")
_IMAGE_STATUS = {
    "queued": TaskStatus.WAITING,
    "running": TaskStatus.IN_PROGRESS,
    "done": TaskStatus.COMPLETE,
    "failed": TaskStatus.FAILED,
}
_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """The handlers over one job table and one picture store."""

    def __init__(
        self, jobs: JobTable, pictures: PictureStore, workers: Workers, app_key: Secret, app_secret: Secret
    ) -> None:
        self._jobs = jobs
        self._pictures = pictures
        self._workers = workers
        pair = f"{app_key.reveal()}:{app_secret.reveal()}".encode()
        self._authorization = b"Basic " + base64.b64encode(pair)

    def application(self) -> web.Application:
        """Return the aiohttp application."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[guard])
        app.router.add_post("/v1/{style}/batch", self._create)
        app.router.add_get("/v1/{style}/result/{task_id}", self._result)
        app.router.add_get("/files/{name}", self._file)
        return app

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the key pair, and answer every refusal in the documented shape."""
        try:
            if request.path.startswith("/v1/"):
                given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
                if not hmac.compare_digest(given, self._authorization):
                    return refusal(401, "the key pair is missing or wrong")
                if request.match_info.get("style", STYLES[0]) not in STYLES:
                    return refusal(404, f"there is no such style; there are: {', '.join(STYLES)}")
            return await handler(request)
        except web.HTTPException as error:
            return refusal(error.status, error.reason)

    async def _create(self, request: web.Request) -> web.Response:
        try:
            links, priority = parse_body(await request.read())
        except InputError as error:
            return refusal(400, str(error))
        style = request.match_info["style"]
        try:
            task_id = await asyncio.to_thread(self._jobs.accept, style, links, priority)
        except sqlite3.Error as error:
            _log.warning("the embedded service cannot write its job table: %s", error)
            return refusal(503, f"nothing was accepted: the job table cannot be written ({error})")
        self._workers.wake()
        return web.json_response({"code": 0, "msg": "", "data": {"task_id": task_id}})

    async def _result(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        try:
            state = await asyncio.to_thread(self._jobs.state, task_id, self._workers.count)
        except sqlite3.Error as error:
            _log.warning("the embedded service cannot read its job table: %s", error)
            return refusal(503, f"the job table cannot be read ({error})")
        if state is None:
            return refusal(404, "there is no such task")
        if not _HOST.fullmatch(request.host):
            return refusal(400, "the Host header is not an address")
        return web.json_response({"code": 0, "msg": "", "data": shown(state, f"{request.scheme}://{request.host}")})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = self._pictures.path(request.match_info["name"])
        if path is None:
            return refusal(404, "there is no such picture, or its link has expired")
        return picture_response(path)


def parse_body(body: bytes) -> tuple[list[str], int]:
    """Return links and priority of a create request; raises InputError naming what is wrong."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = "the body is not JSON"
        raise InputError(msg) from error
    if not isinstance(data, dict):
        msg = "the body must be an object with images and priority"
        raise InputError(msg)
    links, priority = data.get("images"), data.get("priority")
    if not isinstance(links, list) or not all(isinstance(link, str) for link in links):
        msg = "images must be a list of links"
        raise InputError(msg)
    build_request(links, priority, Limits())  # type: ignore[arg-type]  # it checks the type of priority itself
    return links, priority  # type: ignore[return-value]


def shown(state: TaskState, base_url: str) -> dict[str, object]:
    """Return the `data` of a result reply; numbers are strings, as documented."""
    return {
        "status": str(state.status.value),
        "wait_time": str(state.wait_time_s),
        "list": [_shown_image(image, base_url) for image in state.images],
    }


def refusal(status: int, message: str) -> web.Response:
    """Return a refusal in the documented shape: a `code` other than 0, and a message."""
    return web.json_response({"code": status, "msg": message, "data": None}, status=status)


def _shown_image(image: ImageState, base_url: str) -> dict[str, str]:
    url = "" if image.result is None else f"{base_url}/files/{image.result}"
    return {"image_result": url, "status": str(_IMAGE_STATUS[image.state].value), "reason": image.reason}
