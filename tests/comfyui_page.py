"""ComfyUI's page in a real browser: load a workflow as a person opens it, press Run, look at it.

Needs Playwright for Python and a Chromium (CHROMIUM, default /usr/bin/chromium).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
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


_NODES = "() => [app.rootGraph ?? app.graph].flatMap(g => [g, ...(g.subgraphs?.values() ?? [])]).flatMap(g => g.nodes)"


class Page:
    """The page of a running ComfyUI."""

    def __init__(self, comfy: ComfyUI, page: Any) -> None:
        self._comfy = comfy
        self.page = page
        self._console: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self._console.append(f"{error.message}\n{error.stack}"))

    def go(self) -> None:
        """Load the page, and forget what the front end itself complains about while it does."""
        self.page.goto(self._comfy.url)
        self.page.wait_for_function(_READY, timeout=60_000)
        self.page.wait_for_timeout(1500)
        self._console[:] = [text for text in self._console if "/extensions/portrait-cartoonize/" in text]

    def complaints(self) -> list[str]:
        """Return the errors and warnings in the console since the page was loaded, and the pack's own before that."""
        return list(self._console)

    def _note(self, message: Any) -> None:
        source = str(message.location.get("url", ""))
        if message.type not in ("error", "warning") or (source and not source.startswith(self._comfy.url)):
            return  # what lies elsewhere (news, models of the default workflow) is not reached from here
        self._console.append(f"{message.text} {source}")

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

    def serialized(self) -> dict[str, Any]:
        """Return the open workflow as it would be saved."""
        return self.page.evaluate("() => JSON.parse(JSON.stringify((app.rootGraph ?? app.graph).serialize()))")

    def prompt(self) -> dict[str, Any]:
        """Return the open workflow as it would be queued."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def widgets(self, node_type: str) -> dict[str, Any]:
        """Return the values of the widgets of the first node of a type, in subgraphs too."""
        script = (
            f"type => Object.fromEntries(({_NODES})().find(n => n.type === type).widgets.map(w => [w.name, w.value]))"
        )
        return self.page.evaluate(script, node_type)

    def wait_for_text(self, node_type: str, text: str) -> None:
        """Wait until a widget of the first node of a type, its status text among them, holds a text."""
        script = f"([t, s]) => ({_NODES})().find(n => n.type === t).widgets.some(w => String(w.value).includes(s))"
        self.page.wait_for_function(script, arg=[node_type, text], timeout=60_000)

    def choices(self, node_type: str, widget: str) -> list[str]:
        """Return what a combo of the first node of a type offers."""
        script = (
            f"([t, w]) => ({_NODES})().find(n => n.type === t).widgets.find(x => x.name === w).options.values.slice()"
        )
        return self.page.evaluate(script, [node_type, widget])

    def choices_of_type(self, node_type: str, widget: str) -> list[str]:
        """Return what a combo of new nodes of a type offers."""
        script = "([t, w]) => LiteGraph.registered_node_types[t].nodeData.input.required[w][0].slice()"
        return self.page.evaluate(script, [node_type, widget])

    def choose(self, node_type: str, widget: str, value: str) -> None:
        """Set a widget of the first node of a type as a choice by hand does."""
        script = (
            f"([t, name, value]) => {{ const node = ({_NODES})().find(n => n.type === t);"
            " const widget = node.widgets.find(w => w.name === name);"
            " widget.setValue(value, {e: new PointerEvent('pointerup'), node, canvas: app.canvas}) }"
        )
        self.page.evaluate(script, [node_type, widget, value])

    def toasts(self) -> list[str]:
        """Return the messages that the page shows."""
        return self.page.locator(".p-toast-detail").all_inner_texts()

    def command(self, name: str) -> None:
        """Run a command of the front end, as its menu does."""
        self.page.evaluate("name => { app.extensionManager.command.execute(name) }", name)

    def settings(self, category: str) -> Any:
        """Open the settings at the pack's category and return its section."""
        self.command("Comfy.ShowSettingsDialog")
        self.page.get_by_role("dialog").get_by_text(category, exact=True).first.click()
        section = self.page.locator(".portrait-cartoonize-services")
        section.locator("li").first.wait_for()
        return section

    def screenshot(self, path: Path) -> None:
        """Bring all nodes into view and take a picture of the page."""
        self.page.evaluate(_FIT)
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=path)


@contextmanager
def open_page(comfy: ComfyUI, settings: Mapping[str, object] | None = None) -> Iterator[Page]:
    """Open the page without the first visit's dialogs, in English unless the settings say otherwise."""
    from playwright.sync_api import sync_playwright

    first = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "Comfy.Locale": "en"}
    for name, value in (first | dict(settings or {})).items():
        comfy.post(f"/settings/{name}", value)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        page = Page(comfy, browser.new_page(viewport={"width": 1600, "height": 1000}))
        try:
            page.go()
            yield page
        finally:
            browser.close()
