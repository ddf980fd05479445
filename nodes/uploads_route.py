"""The route on ComfyUI's own server that hands out uploads of the image host `comfyui` to whoever has a signed link."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import _comfy

if TYPE_CHECKING:
    from aiohttp import web


async def serve_upload(request: web.Request) -> web.StreamResponse:
    """Answer a link: the picture, or a refusal that says no more than it must."""
    from aiohttp import web

    from ..utils.hosting.comfyui import answer
    from ..utils.service.serving import HEADERS, picture_response

    found = answer(_comfy.home(), request.match_info["name"], request.query, time.time())
    if found.path is None:
        return web.Response(status=found.status, text=found.words, headers=HEADERS)
    return picture_response(found.path)
