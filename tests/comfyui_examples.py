"""The examples as tests run them in a real ComfyUI, and the pictures that come out."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from comfyui_host import ComfyUI
from comfyui_prompts import Prompt
from pack import ROOT
from PIL import Image

FOLDER = ROOT / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.json"))
CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
CONTROLNET = "control_v11p_sd15_canny_fp16.safetensors"
SMALL = (128, 160)
MUTED = 2
TITLE_PX = 30  # above a node's position


def prepare(folder: Path) -> None:
    """Put what the examples need into the folder of a ComfyUI: the bundled portrait, and models of random weights."""
    (folder / "input").mkdir()
    shutil.copy(ROOT / "examples" / "portrait.jpg", folder / "input")
    models = {kind: folder / "models" / kind for kind in ("checkpoints", "controlnet")}
    for place in models.values():
        place.mkdir(parents=True)
    python, script = os.environ.get("COMFYUI_PYTHON", "python"), ROOT / "tests" / "comfyui_checkpoint.py"
    written = [models["checkpoints"] / CHECKPOINT, "--controlnet", models["controlnet"] / CONTROLNET]
    subprocess.run([python, script, os.environ["COMFYUI_PATH"], *written], check=True)


def example(name: str, folder: Path = FOLDER) -> Prompt:
    """An API-format example; diffusion is made short: its wiring counts, its picture is noise."""
    prompt = json.loads((folder / "api" / f"{name}.json").read_text(encoding="utf-8"))
    if any(entry["class_type"] == "KSampler" for entry in prompt.values()):
        for entry in prompt.values():
            entry["inputs"] |= {name: value for name, value in _SHORT.items() if name in entry["inputs"]}
    return prompt


def workflow(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """A UI-format example, as it is."""
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def shortened(page: dict[str, Any]) -> dict[str, Any]:
    """The same workflow with short diffusion."""
    if any(node["type"] == "KSampler" for node in page["nodes"]):
        for node in page["nodes"]:
            for index, value in _SHORT_WIDGETS.get(node["type"], {}).items():
                node["widgets_values"][index] = value
    return page


def with_muted_swapped(page: dict[str, Any]) -> dict[str, Any]:
    """The same workflow as if somebody had muted what is not, and the other way round."""
    for node in page["nodes"]:
        node["mode"] = 0 if node["mode"] == MUTED or node["type"] == "MarkdownNote" else MUTED
    return page


def overlaps(page: dict[str, Any]) -> list[str]:
    """Return which nodes of a workflow lie on top of each other."""
    boxes = [(*node["pos"], *node["size"], node["type"]) for node in page["nodes"]]
    found = []
    for (x, y, width, height, one), (x2, y2, width2, height2, other) in itertools.combinations(boxes, 2):
        beside = x + width <= x2 or x2 + width2 <= x
        if not beside and y + height + TITLE_PX > y2 and y2 + height2 + TITLE_PX > y:
            found.append(f"{one} and {other}")
    return found


_SHORT = {"steps": 1, "width": SMALL[0], "height": SMALL[1]}
_SHORT_WIDGETS = {
    "KSampler": {2: 1},
    "ImageScale": {1: SMALL[0], 2: SMALL[1]},
    "EmptyLatentImage": {0: SMALL[0], 1: SMALL[1]},
}


def pictures(comfy: ComfyUI, output: Mapping[str, Any]) -> list[np.ndarray]:
    """The pictures of one node's output."""
    arrays = []
    for item in output.get("images", []):
        query = f"filename={item['filename']}&type={item['type']}&subfolder={item['subfolder']}"
        with urllib.request.urlopen(f"{comfy.url}/view?{query}", timeout=30) as reply:
            arrays.append(np.asarray(Image.open(io.BytesIO(reply.read())).convert("RGB")))
    return arrays


def saved(comfy: ComfyUI, prompt: Prompt, outputs: Mapping[str, Any]) -> list[np.ndarray]:
    """What the Save Image nodes of a prompt saved, in the order of the nodes; previews on other nodes do not count."""
    keys = sorted((key for key, entry in prompt.items() if entry["class_type"] == "SaveImage"), key=int)
    return [array for key in keys for array in pictures(comfy, outputs[key])]
