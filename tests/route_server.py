"""A server like ComfyUI's, with the routes that the pack adds to it while it starts."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import pytest
from aiohttp import web


def in_comfyui(routes: web.RouteTableDef) -> ModuleType:
    """The module `server` of a ComfyUI that is starting."""
    server = ModuleType("server")
    server.__dict__["PromptServer"] = SimpleNamespace(instance=SimpleNamespace(routes=routes))
    return server


def added(add: Callable[[], None]) -> web.RouteTableDef:
    """The routes that this adds to a ComfyUI."""
    routes = web.RouteTableDef()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "server", in_comfyui(routes))
        add()
    return routes


@contextmanager
def serving(routes: web.RouteTableDef) -> Iterator[str]:
    """Yield where the routes answer, also under /api, as ComfyUI has it."""
    application, loop = web.Application(client_max_size=100 * 1024**2), asyncio.new_event_loop()
    application.add_routes(routes)
    application.add_routes(
        [
            web.route(route.method, f"/api{route.path}", route.handler)
            for route in routes
            if isinstance(route, web.RouteDef)
        ]
    )
    runner = web.AppRunner(application, handle_signals=False, access_log=None)

    async def listen() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    async def end() -> None:
        await runner.cleanup()
        # aiohttp still listens to the rest of bodies that were refused
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=2)

    thread = threading.Thread(target=loop.run_forever, name="comfyui", daemon=True)
    thread.start()
    port = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    yield f"http://127.0.0.1:{port}"
    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
