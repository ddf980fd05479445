"""The pictures of the help pages, taken from ComfyUI's page: one of each node in each language.

Run it after a node or a translation has changed, with COMFYUI_PATH and COMFYUI_PYTHON as for the tests:
`python tests/help_pictures.py`. It needs what comfyui_page needs.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from comfyui_host import ComfyUI, running
from comfyui_page import Page, open_page
from comfyui_prompts import Prompt, chain, node
from pack import ROOT
from PIL import Image

LANGUAGES = ("en", "zh", "ja", "ko")
PICTURES = ROOT / "web" / "docs" / "images"
_COLOURS = 64  # a node has few, and a help page should be light
_MARGIN = 24  # pixels around a node, where its wires begin
_PLACES = """places => {
  for (const n of app.graph._nodes) if (places[n.type]) n.pos = places[n.type];
  app.canvas.ds.scale = 1;
}"""
_CENTRE = """type => {
  const n = app.graph._nodes.find(n => n.type === type);
  app.canvas.ds.offset[0] = 300 - n.pos[0];
  app.canvas.ds.offset[1] = 200 - n.pos[1];
  app.canvas.setDirty(true, true);
}"""
_REDRAW = "() => app.canvas.setDirty(true, true)"
_LOADED = "type => (app.graph._nodes.find(n => n.type === type).imgs ?? []).every(i => i.complete)"
_BOX = """type => {
  const size = app.graph._nodes.find(n => n.type === type).size;
  const canvas = app.canvas.canvas.getBoundingClientRect();
  return {x: canvas.x + 300, y: canvas.y + 170, width: size[0], height: size[1] + 30};
}"""


def graphs() -> dict[str, Prompt]:
    """The graphs by the nodes that they show."""
    load = node("LoadImage", image="portrait.jpg")
    portrait = node(
        "CartoonizePortrait", images=["load", 0], profile="auto", on_failure="error", sizes="match first", timeout=600,
        variation=0,
    )  # fmt: skip
    return {"chain": {"load": load, **chain(["load", 0], timeout=600)}, "whole": {"load": load, "portrait": portrait}}


def take(page: Page, type_: str) -> Image.Image:
    """Return the picture of a node on the canvas."""
    page.page.evaluate(_CENTRE, type_)
    page.page.wait_for_function(_LOADED, arg=type_)
    for _ in range(3):  # the node grows when it has drawn its picture
        page.page.wait_for_timeout(600)
        page.page.evaluate(_REDRAW)
    page.page.wait_for_timeout(600)
    box = page.page.evaluate(_BOX, type_)
    clip = {
        "x": box["x"] - _MARGIN,
        "y": box["y"] - _MARGIN,
        "width": box["width"] + 2 * _MARGIN,
        "height": box["height"] + 2 * _MARGIN,
    }
    with Image.open(io.BytesIO(page.page.screenshot(clip=clip))) as shot:
        return shot.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)


def write(comfy: ComfyUI, language: str) -> None:
    """Write the pictures of one language."""
    shown: dict[str, Any] = {
        "chain": ["CartoonizeImageToURL", "CartoonizeSubmit", "CartoonizePollResult"],
        "whole": ["CartoonizePortrait"],
    }
    with open_page(comfy, {"Comfy.Locale": language}) as page:
        for name, prompt in graphs().items():
            page.page.evaluate("p => app.loadApiJson(p, 'help')", prompt)
            page.page.wait_for_timeout(1000)
            page.page.evaluate(_PLACES, {type_: [480 * i, 0] for i, type_ in enumerate(["LoadImage", *shown[name]])})
            page.run()
            page.page.wait_for_timeout(1500)
            for type_ in shown[name]:
                end = "" if language == "en" else f".{language}"
                take(page, type_).save(PICTURES / f"{type_}{end}.png", optimize=True)


def main() -> None:
    """Write the pictures of the languages named on the command line, or of all, each in a ComfyUI of its own."""
    for language in sys.argv[1:] or LANGUAGES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "input").mkdir()
            shutil.copy(ROOT / "examples" / "portrait.jpg", folder / "input")
            with running(folder, {}) as comfy:
                write(comfy, language)


if __name__ == "__main__":
    main()
