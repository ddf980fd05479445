"""ComfyUI's page in a real browser: load a workflow as a person opens it, press Run, look at it.

Needs Playwright for Python and a Chromium (CHROMIUM, default /usr/bin/chromium).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from comfyui_host import ComfyUI

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
_READY = (
    "() => window.app?.canvas?.graph && app.extensionManager?.command && "
    "app.extensionManager.workflow?.activeWorkflow && !document.querySelector('#splash-loader')"
)
_BROKEN = (
    "() => app.graph._nodes.filter(n => n.has_errors || !(n.type in LiteGraph.registered_node_types)).map(n => n.type)"
)
_FIT = """() => {
  const nodes = app.graph._nodes;
  const x0 = Math.min(...nodes.map(n => n.pos[0])), y0 = Math.min(...nodes.map(n => n.pos[1] - 30));
  const x1 = Math.max(...nodes.map(n => n.pos[0] + n.size[0])), y1 = Math.max(...nodes.map(n => n.pos[1] + n.size[1]));
  const scale = Math.min((innerWidth - 120) / (x1 - x0), (innerHeight - 190) / (y1 - y0), 1.2);
  app.canvas.ds.scale = scale;
  app.canvas.ds.offset[0] = 80 / scale - x0;
  app.canvas.ds.offset[1] = 110 / scale - y0;
  app.canvas.setDirty(true, true);
}"""


class Page:
    """The page of a running ComfyUI."""

    def __init__(self, comfy: ComfyUI, page: Any) -> None:
        self._comfy = comfy
        self.page = page

    def load(self, workflow: dict[str, Any]) -> list[str]:
        """Open a UI-format workflow and return the types of nodes that the page could not draw."""
        self.page.evaluate("w => app.loadGraphData(w)", workflow)
        self.page.wait_for_timeout(800)
        return self.page.evaluate(_BROKEN)

    def run(self, timeout_s: float = 300) -> dict[str, Any]:
        """Press Run and return the outputs of the finished prompt by node id."""
        with self.page.expect_response(
            lambda r: r.url.endswith("/prompt") and r.request.method == "POST", timeout=60_000
        ) as response:
            self.page.evaluate("() => { app.queuePrompt(0) }")
        answer = response.value.json()
        assert answer.get("prompt_id"), json.dumps(answer, indent=1)
        assert not answer.get("node_errors"), json.dumps(answer, indent=1)
        entry = self._comfy.wait(answer["prompt_id"], timeout_s)
        assert entry["status"]["status_str"] == "success", json.dumps(entry["status"]["messages"], indent=1)
        return entry["outputs"]

    def shown_pictures(self, node_id: str) -> list[int]:
        """Wait for a node's previews and return their widths in pixels."""
        self.page.wait_for_function(
            "id => app.graph.getNodeById(id)?.imgs?.every(i => i.complete)", arg=int(node_id), timeout=20_000
        )
        return self.page.evaluate("id => app.graph.getNodeById(id).imgs.map(i => i.naturalWidth)", int(node_id))

    def templates(self) -> dict[str, list[str]]:
        """What the template browser lists, by pack."""
        return self._comfy.get("/api/workflow_templates")

    def screenshot(self, path: Path) -> None:
        """Bring all nodes into view and take a picture of the page."""
        self.page.evaluate(_FIT)
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=path)


@contextmanager
def open_page(comfy: ComfyUI) -> Iterator[Page]:
    """Open the page without the first visit's dialogs."""
    from playwright.sync_api import sync_playwright

    comfy.post("/settings/Comfy.TutorialCompleted", True)
    comfy.post("/settings/Comfy.Minimap.Visible", False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(comfy.url)
        page.wait_for_function(_READY, timeout=60_000)
        page.wait_for_timeout(1500)
        try:
            yield Page(comfy, page)
        finally:
            browser.close()
