"""A real ComfyUI in a folder of its own, with the pack and the test nodes in custom_nodes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 180.0


class ComfyUI:
    """A running ComfyUI, spoken to as its page does."""

    def __init__(self, url: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.folder = folder
        self._process = process

    def kill(self) -> None:
        """End it as a crash does: SIGKILL."""
        self._process.kill()
        self._process.wait(20)

    def get(self, path: str) -> Any:
        """Return the JSON behind a path."""
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return json.load(reply)

    def post(self, path: str, body: object) -> bytes:
        """Post JSON; a refusal raises with ComfyUI's own words."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def queue(self, prompt: Mapping[str, Any]) -> str:
        """Queue an API-format prompt and return its id."""
        return json.loads(self.post("/prompt", {"prompt": prompt}))["prompt_id"]

    def wait(self, prompt_id: str, timeout_s: float = 300.0) -> dict[str, Any]:
        """Return the history entry of a finished prompt."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            entry = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry:
                return entry
            time.sleep(0.05)
        raise AssertionError(f"prompt {prompt_id} did not finish in {timeout_s} s\n{self.log()[-3000:]}")

    def run(self, prompt: Mapping[str, Any], timeout_s: float = 300.0) -> dict[str, Any]:
        """Run a prompt to its successful end and return its outputs by node id."""
        entry = self.wait(self.queue(prompt), timeout_s)
        assert entry["status"]["status_str"] == "success", json.dumps(entry["status"]["messages"], indent=1)
        return entry["outputs"]

    def log(self) -> str:
        """What ComfyUI printed."""
        return (self.folder / "comfy.log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def running(folder: Path, environment: Mapping[str, str], *arguments: str) -> Iterator[ComfyUI]:
    """Start the ComfyUI at COMFYUI_PATH with COMFYUI_PYTHON (default: this Python) on CPU, and stop it afterwards.

    COMFYUI_FRONT_END names the `static` folder of another front end than the installed one.
    """
    source = Path(os.environ["COMFYUI_PATH"])
    packs = folder / "custom_nodes"
    packs.mkdir(parents=True, exist_ok=True)
    for name, target in (("portrait-cartoonize", ROOT), ("cartoonize-test-nodes", ROOT / "tests" / "comfyui_nodes")):
        if not (packs / name).exists():
            (packs / name).symlink_to(target, target_is_directory=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        os.environ.get("COMFYUI_PYTHON", sys.executable), str(source / "main.py"), "--cpu", "--port", str(port),
        "--base-directory", str(folder), "--disable-auto-launch",
        "--database-url", f"sqlite:///{folder / 'comfyui.db'}", *arguments,
    ]  # fmt: skip
    if front_end := os.environ.get("COMFYUI_FRONT_END"):
        command += ["--front-end-root", front_end]
    for name in ("user", "input", "output", "temp"):
        (folder / name).mkdir(exist_ok=True)
    with (folder / "comfy.log").open("ab") as log:
        # CARTOONIZE_HOME is the plain suite's; here the pack must find ComfyUI's own folder
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CARTOONIZE_")}
        process = subprocess.Popen(command, env=inherited | environment, stdout=log, stderr=log, cwd=folder)
    comfy = ComfyUI(f"http://127.0.0.1:{port}", folder, process)
    try:
        _wait_until_up(comfy, process)
        yield comfy
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _wait_until_up(comfy: ComfyUI, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            comfy.get("/system_stats")
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"ComfyUI did not start:\n{comfy.log()[-3000:]}")
