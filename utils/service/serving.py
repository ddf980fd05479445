"""A picture of a store as an HTTP answer, on the embedded service and on ComfyUI's server alike."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from .pictures import MEDIA_TYPES

HEADERS = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


def picture_response(path: Path) -> web.FileResponse:
    """Return the file with its type; ranges and HEAD are aiohttp's work. Nobody may keep it longer than its link."""
    return web.FileResponse(path, headers={"Content-Type": MEDIA_TYPES[path.suffix[1:]], **HEADERS})
