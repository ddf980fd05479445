"""The routes on ComfyUI's own server behind the pack's section of its settings: what there is, trials, keys going in.

GET    /portrait_cartoonize/overview               what this machine has; never a key
POST   /portrait_cartoonize/profiles/{name}/test   try a profile, without spending anything
POST   /portrait_cartoonize/hosts/{name}/test      try an image host
PUT    /portrait_cartoonize/profiles/{name}        add a profile, or replace the whole of it
DELETE /portrait_cartoonize/profiles/{name}        remove one that was added

What blocks runs in threads of the pack: ComfyUI's loop must not stand still, and waits for its own pool when it ends.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..utils.errors import CartoonizeError, InputError, TakenError, UnknownProfileError
from ..utils.logs import logger
from ..utils.redaction import in_texts, redact
from ..utils.routes import PREFIX
from ..utils.threads import start
from ..utils.trials import Trials
from . import _comfy

if TYPE_CHECKING:
    from aiohttp import web

    from ..utils.origins import Doors
    from ..utils.steps import Step

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PROFILE_TRIAL_S, _HOST_TRIAL_S = 30.0, 120.0  # a profile's steps end by themselves before that
_BODY_S = 10.0
_log = logger(__name__)
_trials = Trials()
R = TypeVar("R")


async def show_overview(request: web.Request) -> web.Response:
    """Answer what this machine has, and whether this page may add to it."""

    async def answer() -> Mapping[str, Any]:
        from ..utils.origins import why_no_keys

        why_not = why_no_keys(request.headers, _doors())
        return await _in_thread(lambda: _overview(why_not))

    return await _answered(answer)


async def try_profile(request: web.Request) -> web.Response:
    """Try a profile, and answer the steps."""

    def steps(name: str) -> Iterable[Step]:
        from ..utils import profile_trial

        return profile_trial.steps(_comfy.load_config(), name)

    return await _tried(request, "profile", steps, _PROFILE_TRIAL_S)


async def try_host(request: web.Request) -> web.Response:
    """Try an image host with a picture that shows nobody, and answer the steps."""

    def steps(name: str) -> Iterable[Step]:
        from ..utils.backend import open_host
        from ..utils.config import AUTO
        from ..utils.hosting import self_test

        settings = _comfy.load_config()
        profile = settings.described(AUTO)
        return self_test.steps(open_host(settings, name, profile), profile.allow_hosts)

    return await _tried(request, "image host", steps, _HOST_TRIAL_S)


async def put_profile(request: web.Request) -> web.Response:
    """Add a profile with its keys, which are in no answer, log or error."""

    async def answer() -> Mapping[str, Any]:
        from ..utils import profile_entry

        _check_page(request, keys=True)
        fields = profile_entry.parsed(await _body(request, profile_entry.MAX_BYTES))
        await _in_thread(lambda: profile_entry.add(_comfy.home(), request.match_info["name"], fields))
        return {"ok": True}

    return await _answered(answer)


async def delete_profile(request: web.Request) -> web.Response:
    """Remove a profile that was added."""

    async def answer() -> Mapping[str, Any]:
        from ..utils import profile_entry

        _check_page(request, keys=True)
        await _check_empty(request)
        await _in_thread(lambda: profile_entry.remove(_comfy.home(), request.match_info["name"]))
        return {"ok": True}

    return await _answered(answer)


ROUTES = (
    ("GET", f"{PREFIX}/overview", show_overview),
    ("POST", f"{PREFIX}/profiles/{{name}}/test", try_profile),
    ("POST", f"{PREFIX}/hosts/{{name}}/test", try_host),
    ("PUT", f"{PREFIX}/profiles/{{name}}", put_profile),
    ("DELETE", f"{PREFIX}/profiles/{{name}}", delete_profile),
)


class _Refused(Exception):
    """A request that is not answered: its HTTP status, and why."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(status, words)
        self.status, self.words = status, words


async def _tried(
    request: web.Request, kind: str, steps: Callable[[str], Iterable[Step]], total_s: float
) -> web.Response:
    async def answer() -> Mapping[str, Any]:
        _check_page(request)
        await _check_empty(request)
        name = request.match_info["name"]
        subject = f"{kind} {name}"
        if _trials.is_running(subject):
            raise _Refused(409, f"A test of the {subject[:100]} is running. Wait for it.")
        done = await _trials.run(subject, lambda: steps(name), total_s)
        return {"ok": all(step.is_good for step in done), "steps": [step.table for step in done]}

    return await _answered(answer)


async def _answered(answer: Callable[[], Awaitable[Mapping[str, Any]]]) -> web.Response:
    """Return what it answers, and every refusal or failure of it as a sentence."""
    from aiohttp import web

    status = 200
    try:
        table = await answer()
    except _Refused as refused:
        status, table = refused.status, {"problem": refused.words}
    except CartoonizeError as error:
        status, table = _status_of(error), {"problem": str(error)}
    except Exception as error:  # noqa: BLE001  # aiohttp would log it with a logger that does not know our keys
        _log.exception("answering a request of the settings failed")
        status, table = 500, {"problem": f"Internal error: {type(error).__name__}. ComfyUI's log has the rest."}
    return web.json_response(in_texts(table, redact), status=status, headers=_HEADERS)


def _status_of(error: CartoonizeError) -> int:
    if isinstance(error, UnknownProfileError):
        return 404
    return 400 if isinstance(error, InputError) and not isinstance(error, TakenError) else 409


def _check_page(request: web.Request, *, keys: bool = False) -> None:
    """Raise unless the request comes from this server's own page, and, for keys, one that may send them."""
    from ..utils.origins import refusal, why_no_keys

    words = refusal(request.headers, has_body=request.body_exists)
    if words or (keys and (words := why_no_keys(request.headers, _doors()))):
        raise _Refused(403, words)


def _doors() -> Doors:
    from ..utils.origins import VARIABLE, Doors

    own = socket.gethostname()
    return Doors(_comfy.listens_at(), os.environ.get(VARIABLE, ""), (own, f"{own.partition('.')[0]}.local"))


async def _body(request: web.Request, most: int) -> bytes:
    """Return the body; what is longer is cut one byte behind the limit, so that it is seen."""

    async def read() -> bytes:
        parts = bytearray()
        async for part in request.content.iter_any():
            parts += part
            if len(parts) > most:
                break
        return bytes(parts)

    try:
        return await asyncio.wait_for(read(), _BODY_S)
    except asyncio.TimeoutError:  # another class than TimeoutError in Python 3.10
        raise _Refused(408, f"The request did not arrive within {_BODY_S:g} s.") from None


async def _check_empty(request: web.Request) -> None:
    if (await _body(request, 100)).strip() not in (b"", b"{}"):
        raise _Refused(400, "This request takes no fields.")


def _overview(why_not: str) -> Mapping[str, Any]:
    from dataclasses import asdict

    from ..utils.overview import current

    return asdict(current(_comfy.home(), why_not))


async def _in_thread(work: Callable[[], R]) -> R:
    return await asyncio.wrap_future(start(work, "settings"))
